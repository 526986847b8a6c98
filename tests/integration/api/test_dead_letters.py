"""What failed is listed with its reason, page by page, while a job runs and when it has ended."""

import httpx
import redis

from tests.support.drivers.api_jobs import (
    accepted,
    failed,
    plan,
    settle,
    write_part,
)
from tests.support.drivers.driven_jobs import (
    by_frame,
    ended,
    letters,
    planned,
    scored,
)
from tests.support.servers.apis import RunningApi


def test_failed_frames_of_a_finished_job_are_listed_with_their_reasons_page_by_page(
    api: RunningApi, north: httpx.Client
) -> None:
    job = ended(api, north, 6, {1: "truncated", 3: "scoring_failed", 4: "truncated"})
    assert north.get(f"/v1/jobs/{job}").json()["links"]["dead_letters"].endswith(f"/v1/jobs/{job}/dead-letters")
    page = letters(north, job, limit=2)
    assert [(one["item"], one["custom_id"], one["error"]["code"]) for one in page["dead_letters"]] == [
        (1, "1", "truncated"),
        (3, "3", "scoring_failed"),
    ]
    rest = letters(north, job, limit=2, cursor=page["next"])
    assert [one["custom_id"] for one in rest["dead_letters"]] == ["4"]
    assert rest["next"] is None
    by_code = letters(north, job, code="truncated", limit=1)
    assert [one["custom_id"] for one in by_code["dead_letters"]] == ["1"]
    by_code = letters(north, job, code="truncated", limit=1, cursor=by_code["next"])
    assert ([one["custom_id"] for one in by_code["dead_letters"]], by_code["next"]) == (["4"], None)


def test_failed_frames_of_a_running_job_are_listed_as_far_as_it_got(
    api: RunningApi, north: httpx.Client, api_valkey: str
) -> None:
    job = accepted(north, *(b"%d" % number for number in range(4)))
    planned(api)
    scored(api, by_frame({0: "truncated", 2: "not_an_image", 3: "truncated"}))
    pages = [letters(north, job, limit=2)]
    pages.append(letters(north, job, limit=2, cursor=pages[0]["next"]))
    assert [one["custom_id"] for page in pages for one in page["dead_letters"]] == ["0", "2", "3"]
    assert [one["item"] for page in pages for one in page["dead_letters"]] == [0, 2, 3]
    assert [one["custom_id"] for one in letters(north, job, code="not_an_image")["dead_letters"]] == ["2"]
    with redis.Redis.from_url(api_valkey) as client:
        client.flushall()
    assert len(letters(north, job)["dead_letters"]) == 3


def test_a_page_of_a_running_job_goes_on_within_a_part(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b", b"c")
    plan(api, job)
    settle(api, job, 1, failed(2), failed(0))
    pages = [letters(north, job, limit=1)]
    pages.append(letters(north, job, limit=1, cursor=pages[0]["next"]))
    assert [one["custom_id"] for page in pages for one in page["dead_letters"]] == ["2", "0"]
    assert pages[1]["next"] is None


def test_a_frame_with_two_lines_is_listed_once_while_the_ledger_lacks_the_job(
    api: RunningApi, north: httpx.Client, api_valkey: str
) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    for number, frame in enumerate((0, 1, 0)):
        write_part(api, job, f"{number:016d}-0123abcd-000000", failed(frame))
    with redis.Redis.from_url(api_valkey) as client:
        client.flushall()
    first = letters(north, job, limit=1)
    second = letters(north, job, limit=1, cursor=first["next"])
    assert [page["dead_letters"][0]["custom_id"] for page in (first, second)] == ["0", "1"]
    assert second["next"] is None


def test_a_cursor_that_is_none_is_malformed(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north, 2, {0: "truncated", 1: "truncated"})
    for cursor in ("nonsense", "cjowLjA"):  # that of a list of items
        assert north.get(f"/v1/jobs/{job}/dead-letters?cursor={cursor}").json()["code"] == "malformed"
    assert north.get(f"/v1/jobs/{job}/dead-letters?cursor=ZDoz").json()["code"] == "malformed"  # inside a line
