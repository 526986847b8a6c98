"""Items by number, by suspicion and with their run lengths, as a viewer and a review need them."""

import httpx
import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Result
from tests.support.drivers.api_jobs import accepted, failed, finish, plan, settle, succeeded
from tests.support.servers.apis import RunningApi

#: The flags of six items: the second and the fifth are flagged, the fifth twice.
FLAGS: tuple[tuple[str, ...], ...] = ((), ("empty",), (), (), ("empty", "overlaps"), ())
SUSPICIOUS_FIRST = [4, 1, 0, 2, 3, 5]


def ended(api: RunningApi, north: httpx.Client) -> str:
    job = accepted(north, *(b"%d" % number for number in range(len(FLAGS))))
    outcomes = []
    for number, flags in enumerate(FLAGS):
        outcome = succeeded(api, job, number)
        masks = tuple(mask.model_copy(update={"flags": flags}) for mask in outcome.masks)
        outcomes.append(outcome.model_copy(update={"masks": masks}))
    finish(api, job, *outcomes)
    return job


def numbers(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [item["item"] for item in answer.json()["items"]]


def test_the_flagged_items_come_first_and_any_place_can_be_read(api: RunningApi, north: httpx.Client) -> None:
    url = f"/v1/jobs/{ended(api, north)}/items"
    assert numbers(north.get(url, params={"order": "suspicion"})) == SUSPICIOUS_FIRST
    for offset in range(len(FLAGS) + 1):
        page = north.get(url, params={"order": "suspicion", "offset": offset, "limit": 2})
        assert numbers(page) == SUSPICIOUS_FIRST[offset : offset + 2]
        plain = north.get(url, params={"offset": offset, "limit": 4})
        assert numbers(plain) == list(range(len(FLAGS)))[offset : offset + 4]


def test_any_and_none_select_the_items_with_and_without_a_flag(api: RunningApi, north: httpx.Client) -> None:
    url = f"/v1/jobs/{ended(api, north)}/items"
    assert numbers(north.get(url, params={"flag": "any"})) == [4, 1]
    paged, cursor = [], ""
    while cursor is not None:
        answer = north.get(url, params={"flag": "none", "limit": 3, **({"cursor": cursor} if cursor else {})})
        paged += numbers(answer)
        cursor = answer.json()["next"]
    assert paged == [0, 2, 3, 5]


def test_the_result_of_an_earlier_version_is_ordered_by_its_lists(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north)
    result = Result.model_validate_json(api.storage.get(keys.result(job)))
    assert result.flagged is not None
    old = b'{"flag": "empty", "items": [1, 4]}\n{"flag": "overlaps", "items": [4]}\n'
    api.storage.put(result.flagged.key, old)
    assert numbers(north.get(f"/v1/jobs/{job}/items", params={"order": "suspicion"})) == [1, 4, 0, 2, 3, 5]


def test_a_place_in_a_job_that_runs_is_refused(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    for query in ({"offset": 0}, {"order": "suspicion"}):
        answer = north.get(f"/v1/jobs/{job}/items", params=query)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_ended")


@pytest.mark.parametrize("query", [{"offset": 0, "flag": "any"}, {"order": "suspicion", "cursor": "x"}])
def test_a_place_is_not_combined_with_a_filter(api: RunningApi, north: httpx.Client, query: dict[str, str]) -> None:
    answer = north.get(f"/v1/jobs/{ended(api, north)}/items", params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_masks_have_their_run_lengths_when_they_are_asked_for(api: RunningApi, north: httpx.Client) -> None:
    url = f"/v1/jobs/{ended(api, north)}/items"
    (plain,) = north.get(url, params={"limit": 1}).json()["items"][0]["masks"]
    (mask,) = north.get(url, params={"limit": 1, "rle": "true"}).json()["items"][0]["masks"]
    assert "rle" not in plain
    assert mask == {**plain, "rle": {"size": [8, 8], "counts": "0@"}}


def test_one_item_has_its_masks_and_its_provenance(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b")
    made = {"endpoint": "main", "model_version": "7", "wire": "image2d", "attempts": 2, "timings_ms": {"score": 5.0}}
    finish(api, job, failed(0), succeeded(api, job, 1).model_copy(update=made))
    item = north.get(f"/v1/jobs/{job}/items/1", params={"rle": "true"}).json()
    listed = north.get(f"/v1/jobs/{job}/items", params={"rle": "true"}).json()["items"][1]
    assert item == {**listed, **made}
    assert north.get(f"/v1/jobs/{job}/items/2").status_code == 404


def test_one_item_of_a_job_that_runs_is_shown_as_soon_as_it_has_an_outcome(
    api: RunningApi, north: httpx.Client
) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    assert north.get(f"/v1/jobs/{job}/items/1").status_code == 404
    settle(api, job, 1, succeeded(api, job, 1))
    item = north.get(f"/v1/jobs/{job}/items/1").json()
    assert (item["item"], item["state"], len(item["masks"])) == (1, "succeeded", 1)
    assert north.get(f"/v1/jobs/{job}/items/0").status_code == 404
    assert north.get(f"/v1/jobs/{job}/items/7").status_code == 404


def test_an_item_of_another_tenant_is_not_found(api: RunningApi, north: httpx.Client, south: httpx.Client) -> None:
    job = ended(api, north)
    assert south.get(f"/v1/jobs/{job}/items/0").json()["code"] == "not_found"
