"""A deadline is a cancel with a reason: by the sweep, durable, and only for what has not ended."""

import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import redis

from maskrelay.contract.records import keys
from tests.support.drivers.api_jobs import (
    accepted,
    failed,
    finish,
    plan,
    settle,
    submission_of,
    submit,
    succeeded,
)
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.servers.apis import RunningApi
from worker.context.job_records.plans import Plans
from worker.finish.finish_step import finish_jobs
from worker.plan.plan_step import plan_jobs
from worker.sweep.reconcile import reconcile
from worker.sweep.sweep_pass import cancel_overdue, sweep

#: Over before its job is answered.
AT_ONCE = {"deadline": 0.0001}
REASON = "the deadline has passed"


def ended(api: RunningApi, client: httpx.Client, job: str) -> dict:
    finish_jobs(parts_of(api), time.monotonic() + 10)
    return client.get(f"/v1/jobs/{job}").json()


def test_a_job_that_has_not_begun_by_then_is_cancelled_with_the_reason(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b", options=AT_ONCE)
    sweep(parts_of(api), Plans(api.storage), compare_every=timedelta(minutes=10))
    assert REASON.encode() in api.storage.get(keys.cancel(job))
    shown = ended(api, north, job)
    assert (shown["state"], shown["reason"], shown["counts"]["cancelled"]) == ("cancelled", REASON, 2)
    assert api.objects("live/") == []


def test_what_is_done_by_then_counts(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b", b"c", options=AT_ONCE)
    plan_jobs(parts_of(api), time.monotonic() + 10)
    settle(api, job, 1, succeeded(api, job, 0), failed(1))
    cancel_overdue(parts_of(api))
    cancel_overdue(parts_of(api))
    shown = ended(api, north, job)
    assert (shown["state"], shown["reason"]) == ("cancelled", REASON)
    assert shown["counts"] == {"total": 3, "succeeded": 1, "partial": 0, "failed": 1, "cancelled": 1}


def test_a_deadline_ahead_is_shown_and_cancels_nothing(api: RunningApi, north: httpx.Client) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    job = accepted(north, options={"deadline": at.astimezone().isoformat()})
    other = accepted(north, options={"deadline": 3600})
    cancel_overdue(parts_of(api))
    shown = north.get(f"/v1/jobs/{job}").json()
    assert (shown["state"], datetime.fromisoformat(shown["deadline"])) == ("accepted", at)
    assert submission_of(api, other).deadline == submission_of(api, other).created_at + timedelta(hours=1)


@pytest.mark.parametrize("known", [True, False])
def test_a_job_that_has_ended_is_left_alone(api: RunningApi, north: httpx.Client, *, known: bool) -> None:
    job = accepted(north, options=AT_ONCE)
    plan(api, job)
    settle(api, job, 1, succeeded(api, job, 0))
    finish(api, job, succeeded(api, job, 0), known=known)
    cancel_overdue(parts_of(api))
    assert ended(api, north, job)["state"] == "succeeded"
    assert not any("cancel" in key for key in api.objects())


def test_the_deadline_outlives_redis(api: RunningApi, north: httpx.Client, empty_valkey: str) -> None:
    job = accepted(north, options=AT_ONCE)
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
        reconcile(parts_of(api))
        cancel_overdue(parts_of(api))
        client.flushall()
    reconcile(parts_of(api))
    shown = ended(api, north, job)
    assert (shown["state"], shown["reason"]) == ("cancelled", REASON)


def test_a_caller_who_cancels_first_is_the_reason(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, options=AT_ONCE)
    assert north.post(f"/v1/jobs/{job}/cancel").status_code == 202
    cancel_overdue(parts_of(api))
    assert ended(api, north, job)["reason"] == "cancelled by the caller"


def test_nothing_is_looked_at_twice(api: RunningApi, north: httpx.Client) -> None:
    accepted(north, options=AT_ONCE)
    assert len(api.ledger.jobs.overdue(10)) == 1
    cancel_overdue(parts_of(api))
    assert api.ledger.jobs.overdue(10) == []


def test_a_deadline_that_has_passed_is_refused_but_not_a_repeat(api: RunningApi, north: httpx.Client) -> None:
    key = {"Idempotency-Key": "k"}
    answer = submit(north, b"a", options={"deadline": "2020-01-01T00:00:00Z"}, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "option_invalid")
    assert answer.json()["errors"][0]["pointer"] == "#/options/deadline"
    job = accepted(north, options=AT_ONCE, headers=key)
    assert accepted(north, options=AT_ONCE, headers=key) == job


NO_TIMES = [0, -1, 1e9, True, [1], "tomorrow", "2030-01-01T00:00:00", "2030-01-01", "0001-01-01T00:00:00+23:59"]


@pytest.mark.parametrize("deadline", NO_TIMES)
def test_what_is_no_time_is_refused(north: httpx.Client, deadline: object) -> None:
    answer = submit(north, b"a", options={"deadline": deadline})
    assert (answer.status_code, answer.json()["code"]) == (422, "option_invalid")
