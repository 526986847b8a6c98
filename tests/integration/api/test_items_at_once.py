"""The items in the response to a submission whose job has ended while the request waited."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.jobs import items
from api.submissions import submit as submit_handler
from maskrelay.contract.records.outcomes import Outcome
from tests.support.checks.audits import done
from tests.support.drivers.api_jobs import accepted, failed, finish, submit, succeeded
from tests.support.servers.apis import RunningApi
from tests.support.servers.simulators import eventually

OutcomeOf = Callable[[str], Outcome]


def ended(api: RunningApi, client: httpx.Client, listed: httpx.Client, outcome: OutcomeOf) -> httpx.Response:
    """Return the response to a request that waits, while its job ends. `listed` may list the jobs."""
    before = listed.get("/v1/jobs").json()["jobs"]
    with ThreadPoolExecutor(1) as caller:
        waiting = caller.submit(submit, client, b"pixels", headers={"Prefer": "wait=30"})
        assert eventually(lambda: len(listed.get("/v1/jobs").json()["jobs"]) > len(before))
        job = listed.get("/v1/jobs").json()["jobs"][0]["id"]
        finish(api, job, outcome(job))
        return waiting.result()


def test_the_items_are_those_of_the_list(api: RunningApi, north: httpx.Client) -> None:
    answer = ended(api, north, north, lambda job: succeeded(api, job, 0))
    job = answer.json()
    assert (answer.status_code, job["state"]) == (200, "succeeded")
    assert job["items"][0]["masks"][0]["links"]["mask"].startswith(job["links"]["self"])
    assert job["items"] == north.get(job["links"]["items"]).json()["items"]
    assert "items" not in north.get(job["links"]["self"]).json()


def test_an_item_that_failed_has_its_error(api: RunningApi, north: httpx.Client) -> None:
    (item,) = ended(api, north, north, lambda _: failed(0)).json()["items"]
    assert item["state"] == "failed"
    assert item["error"]["code"]


def test_a_key_that_may_not_read_gets_none(api: RunningApi, north: httpx.Client) -> None:
    with api.client("writer") as writer:
        answer = ended(api, writer, north, lambda job: succeeded(api, job, 0))
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    assert "items" not in answer.json()


def test_long_items_are_left_to_the_list(api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "_MOST_AT_ONCE", 100)
    answer = ended(api, north, north, lambda job: succeeded(api, job, 0))
    assert answer.status_code == 200
    assert "items" not in answer.json()


def test_without_a_wait_there_are_none(api: RunningApi, north: httpx.Client) -> None:
    headers = {"Idempotency-Key": "night-1"}
    job = accepted(north, headers=headers)
    finish(api, job, succeeded(api, job, 0))
    again = submit(north, b"pixels", headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, job)
    assert "items" not in again.json()


def test_a_repeat_gets_them_with_the_reviews_of_its_reader(api: RunningApi, north: httpx.Client) -> None:
    headers = {"Idempotency-Key": "night-1"}
    job = accepted(north, headers=headers)
    finish(api, job, succeeded(api, job, 0))
    review = north.put(f"/v1/jobs/{job}/items/0/review", json={"verdict": "accept"})
    assert review.status_code < 300, review.text
    again = submit(north, b"pixels", headers=headers | {"Prefer": "wait=1"}).json()
    assert again["items"][0]["review"]["verdict"] == "accept"
    assert again["items"] == north.get(again["links"]["items"]).json()["items"]


def test_a_repeat_does_not_wait_for_a_job_that_the_ledger_has_forgotten(
    api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits(*_: Any, **__: Any) -> None:
        raise AssertionError("the job has ended already")

    headers = {"Idempotency-Key": "night-1"}
    job = accepted(north, headers=headers)
    finish(api, job, succeeded(api, job, 0))
    assert api.ledger.jobs.forget(job, "north")
    monkeypatch.setattr(submit_handler, "until_ended", waits)
    again = submit(north, b"pixels", headers=headers | {"Prefer": "wait=50"})
    assert (again.status_code, len(again.json()["items"])) == (200, 1)


@pytest.mark.parametrize("damaged", [b"not a record\n", None])
def test_items_that_cannot_be_read_do_not_make_the_response_an_error(
    api: RunningApi, north: httpx.Client, damaged: bytes | None
) -> None:
    headers = {"Idempotency-Key": "night-1"}
    job = accepted(north, headers=headers)
    key = finish(api, job, succeeded(api, job, 0)).items.key
    if damaged is None:
        api.storage.delete(key)
    else:
        api.storage.put(key, damaged)
    again = submit(north, b"pixels", headers=headers | {"Prefer": "wait=1"})
    assert (again.status_code, again.json()["state"]) == (200, "succeeded")
    assert "items" not in again.json()


def test_the_audit_log_tells_who_got_items(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north, north, lambda job: succeeded(api, job, 0)).json()["id"]
    other = accepted(north, b"x")
    said = {told["job"]: told.get("with_items") for told in done(api.storage, "POST /v1/jobs")}
    assert said == {job: True, other: None}
