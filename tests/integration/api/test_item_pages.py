"""The items of a job: listed while it runs, and after, page by page or as lines."""

import base64
import json

import httpx
import redis

from maskrelay.contract.records import keys
from tests.support.drivers.api_jobs import PNG, accepted, failed, finish, plan, settle, succeeded, write_part
from tests.support.servers.apis import RunningApi


def test_items_of_a_running_job_come_in_order_of_completion(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, *(b"%d" % number for number in range(5)))
    plan(api, job)
    assert north.get(f"/v1/jobs/{job}/items").json() == {"items": [], "next": None}
    settle(api, job, 1, succeeded(api, job, 2), failed(0))
    settle(api, job, 2, succeeded(api, job, 1))
    listed, url, pages = [], f"/v1/jobs/{job}/items?limit=2", 0
    while url:
        answer = north.get(url)
        listed += [(item["custom_id"], item["state"]) for item in answer.json()["items"]]
        url = answer.links.get("next", {}).get("url", "")
        pages += 1
    assert listed == [("2", "succeeded"), ("0", "failed"), ("1", "succeeded")]
    assert pages == 2


def test_a_line_that_was_refused_or_came_twice_is_not_shown(
    api: RunningApi, north: httpx.Client, api_valkey: str
) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    part = settle(api, job, 1, failed(0))
    late = f"{2_000_000:016d}-0123abcd-000001"
    write_part(api, job, late, succeeded(api, job, 0), succeeded(api, job, 1))
    api.ledger.claims.settle(job, late, [])  # nothing of it is accepted, and what it says of frame 0 never counts
    listed = dict(api.ledger.jobs.parts(job))
    assert part in listed
    items = north.get(f"/v1/jobs/{job}/items").json()["items"]
    assert [(item["custom_id"], item["state"]) for item in items][:1] == [("0", "failed")]
    assert len({item["custom_id"] for item in items}) == len(items)


def test_no_line_of_a_part_keeps_a_running_job_from_being_read(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    settle(api, job, 1, failed(0), succeeded(api, job, 1))
    odd = [b"", b"{", b"null", b'{"frame": -1}', failed(2).model_dump_json().encode()]
    odd += [json.dumps({"frame": frame, "item": 7, "state": "succeeded"}).encode() for frame in (-1, 5, 10**9, 10**30)]
    odd += [json.dumps({"frame": 0, "item": 0, "state": "skipped"}).encode(), failed(0).model_dump_json().encode()]
    late = f"{2_000_000:016d}-0123abcd-000001"
    api.storage.create(keys.outcome_part(job, late), b"\n".join(odd))
    api.storage.create(keys.outcome_part(job, "stranger"), b"not a part of ours")
    api.ledger.claims.settle(job, late, [])

    def read() -> None:
        items = north.get(f"/v1/jobs/{job}/items").json()["items"]
        assert [(item["custom_id"], item["state"]) for item in items] == [("0", "failed"), ("1", "succeeded")]
        letters = north.get(f"/v1/jobs/{job}/dead-letters").json()["dead_letters"]
        assert [letter["custom_id"] for letter in letters] == ["0"]
        assert north.get(f"/v1/jobs/{job}/artifacts/1-1-0.mask.png").content == PNG
        assert north.get(f"/v1/jobs/{job}/artifacts/7-5-0.mask.png").status_code == 404

    read()
    api.ledger.jobs.forget(job, "north")  # the ledger was lost, and its list with it
    read()


def test_items_of_a_finished_job_come_in_their_order_page_by_page(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, *(b"%d" % number for number in range(25)))
    finish(api, job, *(failed(number) if number % 7 == 3 else succeeded(api, job, number) for number in range(25)))
    whole = north.get(f"/v1/jobs/{job}/items").json()
    assert [item["custom_id"] for item in whole["items"]] == [str(number) for number in range(25)]
    assert whole["next"] is None
    paged, cursor = [], ""
    while cursor is not None:
        page = north.get(f"/v1/jobs/{job}/items", params={"limit": 10, **({"cursor": cursor} if cursor else {})}).json()
        paged += page["items"]
        cursor = page["next"]
    assert paged == whole["items"]


def test_an_item_shows_its_masks_with_links_and_its_error_with_a_code(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b")
    finish(api, job, succeeded(api, job, 0), failed(1))
    good, bad = north.get(f"/v1/jobs/{job}/items").json()["items"]
    files = f"{north.base_url}/v1/jobs/{job}/artifacts".replace("//v1", "/v1")
    assert good == {
        "item": 0,
        "custom_id": "0",
        "suspicion": 0.0,
        "findings": {},
        "source_name": "eye 0.png",
        "state": "succeeded",
        "masks": [
            {
                "prompt": "optic disc in retinal fundus",
                "size": [8, 8],
                "category": "eye anatomies",
                "empty": False,
                "area_px": 12,
                "bbox": [1, 2, 3, 4],
                "centroid": [2.0, 3.5],
                "components": 1,
                "mean_probability": 0.9,
                "border": [],
                "flags": [],
                "links": {"mask": f"{files}/0-0-0.mask.png"},
            }
        ],
        "links": {"overlay": f"{files}/0-0.overlay.png"},
    }
    assert bad == {
        "item": 1,
        "custom_id": "1",
        "suspicion": 0.0,
        "findings": {},
        "source_name": "eye 1.png",
        "state": "failed",
        "error": {"code": "truncated", "detail": "The image file ends too early or is damaged."},
        "masks": [],
        "links": {},
    }


def test_items_come_as_lines_when_lines_are_asked_for(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b", b"c")
    finish(api, job, *(succeeded(api, job, number) for number in range(3)))
    answer = north.get(f"/v1/jobs/{job}/items?limit=2", headers={"Accept": "application/x-ndjson"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line)["custom_id"] for line in answer.text.splitlines()] == ["0", "1"]
    rest = north.get(answer.links["next"]["url"], headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line)["custom_id"] for line in rest.text.splitlines()] == ["2"]


def test_a_cursor_from_before_the_end_begins_the_final_order_anew(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b", b"c")
    plan(api, job)
    outcomes = [succeeded(api, job, number) for number in range(3)]
    settle(api, job, 1, *outcomes[1:])
    cursor = north.get(f"/v1/jobs/{job}/items?limit=1").json()["next"]
    finish(api, job, *outcomes)
    items = north.get(f"/v1/jobs/{job}/items", params={"cursor": cursor}).json()["items"]
    assert [item["custom_id"] for item in items] == ["0", "1", "2"]


def test_a_cursor_that_was_never_given_is_refused(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    finish(api, job, failed(0))
    plain = [b"x", b"f:", b"f:7", b"f:9999999", b"f:1.2", b"f:-1", b"r:1", b"r:a.b", b"j:0", "f:٣".encode()]
    for cursor in ["%ff", "A", *(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in plain)]:
        answer = north.get(f"/v1/jobs/{job}/items?cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), cursor
        assert answer.json()["errors"][0]["pointer"] == "#/query/cursor"


def test_results_of_a_running_job_are_read_from_storage_when_the_ledger_lost_it(
    api: RunningApi, north: httpx.Client, api_valkey: str
) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    settle(api, job, 1, succeeded(api, job, 1))
    with redis.Redis.from_url(api_valkey) as client:
        client.flushall()
    items = north.get(f"/v1/jobs/{job}/items").json()["items"]
    assert [item["custom_id"] for item in items] == ["1"]
    assert north.get(items[0]["links"]["overlay"]).content == PNG
