"""Two faults at once: a cancel, a deadline or a deletion, and a Redis that was lost or put back from a copy."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import redis

from maskrelay.contract.records import keys
from maskrelay.storage.stored_records import read_submission
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.cleanup_passes import later, parts_of, removed
from tests.support.drivers.driven_jobs import (
    claims_of,
    finished,
    frames_of,
    outcome,
    planned,
    scored,
)
from tests.support.servers.apis import RunningApi
from worker.cleanup.cleanup_pass import clear, expire
from worker.context.job_records.conclusion import conclude, read_result
from worker.context.job_records.outcome_parts import RecordedPart, part_name, store_part, write_part
from worker.context.job_records.plans import planned_frames
from worker.plan import plan_step
from worker.sweep.reconcile import reconcile
from worker.sweep.recover import recover

PICTURES = [b"picture %d" % number for number in range(6)]


def settle(api: RunningApi, most: int) -> None:
    """Settle so many frames, one a part; the claim behind them is given back."""
    for number, claim in enumerate(claims_of(api)):
        if number == most:
            api.ledger.claims.release(claim.token, claim.first)
            return
        frame = frames_of(api, claim.job)[claim.first]
        held = [(claim.token, RecordedPart(outcome(frame, None)))]
        part = part_name(time.time() * 1000, secrets.token_hex(4), number)
        write_part(api.storage, api.ledger.claims, claim.job, part, held)


def flush(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.flushall()


def copied(url: str) -> Callable[[], None]:
    """Copy Redis as it is now; what is answered puts it back, as a server that was started from an older copy."""
    with redis.Redis.from_url(url) as client:
        copy = {key: client.dump(key) for key in client.keys("*")}

    def put_back() -> None:
        with redis.Redis.from_url(url) as again:
            again.flushall()
            for key, value in copy.items():
                again.restore(key, 0, value)
            again.hset("mr:sweep", mapping={"run_id": "another", "reconciled_run": "another"})

    return put_back


def cleared(api: RunningApi) -> None:
    """Sweep what lost, once nobody can write any more."""
    clear(parts_of(api), later(hours=1))
    expire(parts_of(api), later(minutes=1))


@pytest.mark.parametrize("order", ["cancel, then Redis is lost", "Redis is lost, then cancel"])
def test_a_cancelled_jobs_outcomes_outlive_a_loss_of_redis(
    api: RunningApi, north: httpx.Client, empty_valkey: str, order: str
) -> None:
    job = accepted(north, *PICTURES)
    planned(api)
    settle(api, 4)
    if order.startswith("Redis"):
        flush(empty_valkey)
    assert north.post(f"/v1/jobs/{job}/cancel").status_code == 202
    if order.startswith("cancel"):
        flush(empty_valkey)
    reconcile(parts_of(api))
    result = finished(api, job)
    assert (result.state, result.frames.succeeded, result.counts.cancelled, result.counts.total) == (
        "cancelled",
        4,
        2,
        6,
    )
    parts = api.objects(keys.outcomes(job))
    cleared(api)
    assert api.objects(keys.outcomes(job)) == parts
    assert len([one for one in north.get(f"/v1/jobs/{job}/items").json()["items"] if one["state"] == "succeeded"]) == 4


def test_a_deadline_that_passes_while_redis_is_lost_keeps_what_is_done(
    api: RunningApi, north: httpx.Client, empty_valkey: str
) -> None:
    deadline = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    job = accepted(north, *PICTURES, options={"deadline": deadline})
    planned(api)
    settle(api, 5)
    flush(empty_valkey)
    while api.ledger.jobs.get(job) is None or api.ledger.jobs.get(job).state == "accepted":
        recover(parts_of(api), later())
    result = finished(api, job)
    assert (result.frames.succeeded, result.counts.cancelled) == (5, 1)


def test_a_deadline_and_a_redis_from_an_older_copy_keep_what_is_done(
    api: RunningApi, north: httpx.Client, empty_valkey: str
) -> None:
    put_back = copied(empty_valkey)
    deadline = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    job = accepted(north, *PICTURES, options={"deadline": deadline})
    put_back_accepted = copied(empty_valkey)
    planned(api)
    settle(api, 5)
    put_back_accepted()
    while api.ledger.jobs.get(job).state in {"accepted", "running"}:
        recover(parts_of(api), later())
    assert finished(api, job).frames.succeeded == 5
    put_back()
    recover(parts_of(api), later())
    assert north.get(f"/v1/jobs/{job}").json()["state"] == "cancelled"


def test_a_part_that_comes_beyond_the_ledgers_plan_is_counted(
    api: RunningApi, north: httpx.Client, empty_valkey: str
) -> None:
    job = accepted(north, *PICTURES)
    planned(api)
    settle(api, 4)
    last = frames_of(api, job)[5]
    assert north.post(f"/v1/jobs/{job}/cancel").status_code == 202
    flush(empty_valkey)
    reconcile(parts_of(api))
    part = part_name(time.time() * 1000, secrets.token_hex(4), 1)
    store_part(api.storage, job, part, [("0" * 16, RecordedPart(outcome(last, None)))])
    assert finished(api, job).frames.succeeded == 5


def test_a_plan_that_is_half_done_when_redis_is_lost_and_the_job_cancelled_counts_as_far_as_it_is(
    api: RunningApi, north: httpx.Client, empty_valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.plan.layout.FRAMES_PER_PART", 2)
    for module in ("worker.plan.plan_step", "worker.context.job_records.plans", "worker.finish.finish_step"):
        monkeypatch.setattr(f"{module}.FRAMES_PER_PART", 2)
    written = plan_step.write_records

    def dies_at_the_third(storage, key, records):
        if key.endswith("000002.ndjson"):
            raise KeyboardInterrupt
        return written(storage, key, records)

    monkeypatch.setattr(plan_step, "write_records", dies_at_the_third)
    job = accepted(north, *PICTURES)
    with pytest.raises(KeyboardInterrupt):
        planned(api)
    assert planned_frames(api.storage, job) == (2, 4)
    settle(api, 3)
    assert north.post(f"/v1/jobs/{job}/cancel").status_code == 202
    flush(empty_valkey)
    reconcile(parts_of(api))
    result = finished(api, job)
    assert (result.frames.succeeded, result.counts.total, result.counts.cancelled) == (3, 6, 3)


def test_a_stranger_among_the_parts_of_the_plan_is_not_counted(api: RunningApi, two: str) -> None:
    planned(api)
    for name in ("000002.ndjson", "notes.txt"):
        api.storage.put(keys.frames(two) + name, b"x")
    assert planned_frames(api.storage, two) == (1, 2)


def test_finished_jobs_stay_finished_when_redis_is_put_back(
    api: RunningApi, north: httpx.Client, empty_valkey: str
) -> None:
    job = accepted(north, *PICTURES)
    planned(api)
    put_back = copied(empty_valkey)
    scored(api)
    finished(api, job)
    put_back()
    found = recover(parts_of(api), later())
    assert found["jobs concluded from storage"] == 1
    shown = north.get(f"/v1/jobs/{job}").json()
    assert (shown["state"], shown["counts"]["succeeded"]) == ("succeeded", 6)
    assert list(claims_of(api)) == []
    assert len(north.get(f"/v1/jobs/{job}/items").json()["items"]) == 6
    assert api.objects("live/") == []


def test_deleted_jobs_stay_deleted_when_redis_is_put_back(
    api: RunningApi, north: httpx.Client, empty_valkey: str
) -> None:
    job = accepted(north, *PICTURES)
    planned(api)
    put_back = copied(empty_valkey)
    with api.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{job}").status_code == 204
    removed(api)
    put_back()
    recover(parts_of(api), later())
    assert api.ledger.jobs.get(job) is None
    assert list(claims_of(api)) == []
    assert north.get(f"/v1/jobs/{job}").status_code == 410
    assert api.objects("live/", "uploads/") == []


def test_a_cancelled_job_is_cancelled_again_when_redis_is_put_back(
    api: RunningApi, north: httpx.Client, empty_valkey: str
) -> None:
    job = accepted(north, *PICTURES)
    planned(api)
    put_back = copied(empty_valkey)
    assert north.post(f"/v1/jobs/{job}/cancel").status_code == 202
    put_back()
    recover(parts_of(api), later())
    assert api.ledger.jobs.get(job).state == "finishing"
    assert finished(api, job).state == "cancelled"


def test_an_unfinished_job_whose_marker_is_lost_is_marked_again(
    api: RunningApi, north: httpx.Client, two: str, empty_valkey: str
) -> None:
    api.storage.delete(keys.live(two))
    recover(parts_of(api), later())
    assert api.objects("live/") == [keys.live(two)]
    flush(empty_valkey)
    recover(parts_of(api), later())
    assert api.ledger.jobs.get(two).state == "accepted"


def used(url: str) -> dict[str, int]:
    with redis.Redis.from_url(url) as client:
        return {name.decode(): int(number) for name, number in client.hgetall("mr:used:north").items()}


@pytest.mark.parametrize("loss", ["lost", "put back from an older copy"])
def test_what_a_tenant_uses_is_right_again_after_a_loss_of_redis(
    api: RunningApi, north: httpx.Client, empty_valkey: str, loss: str
) -> None:
    """Since the copy, one job was accepted, one was scored in part, one has ended, and one was deleted."""
    deleted = accepted(north, *PICTURES)
    _, over = (accepted(north, *PICTURES, options={"lane": "bulk"}) for _ in range(2))
    put_back = copied(empty_valkey)
    planned(api)
    assert north.post(f"/v1/jobs/{over}/cancel").status_code == 202
    finished(api, over)
    with api.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{deleted}").status_code == 204
    removed(api)
    settle(api, 4)
    accepted(north, *PICTURES[:2])
    right = used(empty_valkey)
    assert right == {"jobs": 2, "frames": 4, "interactive": 2, "bytes": right["bytes"]}
    if loss == "lost":
        flush(empty_valkey)
    else:
        put_back()
    reconcile(parts_of(api))
    planned(api)
    assert used(empty_valkey) == right


def test_a_record_of_a_job_of_which_storage_has_nothing_is_dropped(api: RunningApi, two: str) -> None:
    for key in api.objects():
        api.storage.delete(key)
    recover(parts_of(api), later())
    assert api.ledger.jobs.get(two) is None


@pytest.mark.parametrize("lost", [False, True], ids=["Redis is there", "Redis is lost"])
def test_a_job_that_is_deleted_while_it_is_finished_comes_back_nowhere(
    api: RunningApi, north: httpx.Client, two: str, empty_valkey: str, lost: bool
) -> None:
    planned(api)
    scored(api)
    finished(api, two)
    parts = parts_of(api)
    known, result = read_submission(api.storage, two), read_result(parts, two)
    assert result is not None
    if lost:
        flush(empty_valkey)

    with api.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{two}").status_code == 204
    conclude(parts, known, result)  # the finisher was stopped just before this
    assert api.ledger.jobs.get(two) is None
    assert north.get("/v1/jobs").json()["jobs"] == []


def test_losing_tries_are_swept_by_a_whole_list_of_outcomes_alone(api: RunningApi, two: str) -> None:
    planned(api)
    scored(api)
    result = finished(api, two)
    api.storage.put(result.items.key, api.storage.get(result.items.key)[:-30])
    api.storage.put(keys.artifacts(two) + "0/0-0.abcdef01.mask.png", b"x")
    before = set(api.objects("jobs/"))
    parts = parts_of(api)
    clear(parts, later(hours=1))
    assert set(api.objects("jobs/")) == before
    assert parts.bad_objects.named() == [f"{two}: record_unreadable"]
