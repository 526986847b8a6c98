"""Finishing over a real ledger and storage: what it survives, what it leaves behind, and when it gives up."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import redis

import worker.context.turn
import worker.finish.final_objects
import worker.finish.finish_step
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import FRAMES_PER_PART, PlannedFrame, Result
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.errors import StorageUnavailable
from maskrelay.ledger.step_leases import StepLease
from maskrelay.storage.protocol import Storage, has, unavailable
from maskrelay.storage.stored_records import write_records
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.cleanup_passes import later, parts_of
from tests.support.drivers.driven_jobs import (
    by_frame,
    driven,
    finished,
    frames_of,
    outcome,
    planned,
    scored,
)
from tests.support.drivers.ledger_jobs import part_name as ledger_part
from tests.support.drivers.ledger_jobs import state_of
from tests.support.proxies.tcp_proxy import tcp_proxy
from tests.support.servers.apis import RunningApi, make_ledger, make_settings
from worker.assemble.assemble_step import assemble_items
from worker.cleanup.expiry import judge_jobs
from worker.cleanup.stray_objects import sweep_stray_objects
from worker.context import WorkerContext
from worker.context.attempts import TRIES
from worker.context.turn import Turn
from worker.finish.finish_step import _finish_another, finish_job, finish_jobs
from worker.plan.plan_step import plan_jobs
from worker.sweep.reconcile import reconcile_job
from worker.sweep.recover import recover


def test_a_refused_line_of_a_frame_that_the_job_does_not_have_does_not_stop_the_finish(
    api: RunningApi, north: httpx.Client
):
    job = accepted(north, b"a", b"b")
    planned(api)
    scored(api)
    known = outcome(frames_of(api, job)[0], None)
    foreign = [known.model_copy(update={"frame": frame}) for frame in (-1, 2, 999, 10**9)]
    body = b"".join(one.model_dump_json().encode() + b"\n" for one in [known, *foreign])
    stray = f"{1_000_000:016d}-0123abcd-000001"
    api.storage.create(keys.outcome_part(job, stray), body + b"not JSON\n")
    result = finished(api, job)
    assert (result.state, result.counts.succeeded, result.frames.planned) == ("succeeded", 2, 2)


def test_adopting_a_part_counts_no_frame_that_the_job_does_not_have(api: RunningApi, north: httpx.Client):
    job = accepted(north, b"a", b"b")
    planned(api)
    known = outcome(frames_of(api, job)[0], None)
    foreign = [known.model_copy(update={"frame": frame}) for frame in (-1, 2, 999, 10**9)]
    body = b"".join(one.model_dump_json().encode() + b"\n" for one in [known, *foreign])
    api.storage.create(keys.outcome_part(job, f"{1_000_000:016d}-0123abcd-000001"), body)
    reconcile_job(parts_of(api), job)
    record = api.ledger.jobs.get(job)
    assert record is not None
    assert (record.frames.succeeded, record.frames.planned) == (1, 2)
    scored(api)
    assert finished(api, job).frames.succeeded == 2


class Failing:
    """A storage that fails on some reads with an error, while it is on."""

    def __init__(self, inner: Storage, what: str, error: Callable[[], Exception]) -> None:
        self._inner, self._what, self._error, self.on = inner, what, error, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def get(self, key: str, *range_: Any) -> bytes:
        if self.on and self._what in key:
            raise self._error()
        return self._inner.get(key, *range_)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def away() -> Exception:
    return unavailable("SlowDown")


def wrong() -> Exception:
    return ValueError("a mistake in the code")


def parts_over(api: RunningApi, storage: Any) -> WorkerContext:
    return WorkerContext(api.settings, storage, api.ledger)


def make_due(api: RunningApi, kind: str) -> None:
    """End every pause and every lease of the steps of this kind."""
    with redis.Redis.from_url(api.settings.redis_url.get_secret_value()) as client:
        client.zadd(f"mr:step:{kind}", dict.fromkeys(client.zrange(f"mr:step:{kind}", 0, -1), 1), xx=True)


def tried(api: RunningApi, context: WorkerContext, kind: str, times: int) -> None:
    """Let the steps of this kind be tried so often, without waiting in between."""
    for _ in range(times):
        make_due(api, kind)
        with suppress(StorageUnavailable):
            (plan_jobs if kind == "plan" else finish_jobs)(context, time.monotonic() + 60)


def shown(client: httpx.Client, job: str) -> dict[str, Any]:
    return client.get(f"/v1/jobs/{job}").json()


@pytest.mark.parametrize(("error", "raised"), [(away, StorageUnavailable), (wrong, ValueError)])
def test_a_finish_that_fails_half_way_leaves_nothing_open(
    api: RunningApi, north: httpx.Client, error: Callable[[], Exception], raised: type[Exception]
):
    job = accepted(north, b"a")
    planned(api)
    scored(api)
    parts = parts_over(api, Failing(api.storage, "/frames/", error))
    before = open_descriptors()
    for _ in range(20):
        with pytest.raises(raised):
            finish_job(parts, StepLease("finish", job, "token", 1))
    assert open_descriptors() <= before + 2  # a connection of the pool may be new
    assert [path for path in api.files() if path.name.startswith("~")] == []


def test_a_finish_that_always_fails_ends_its_job_alone_and_recover_lets_it_go_on(api: RunningApi, north: httpx.Client):
    bad, good = accepted(north, b"a", b"b"), accepted(north, b"c")
    planned(api)
    scored(api, by_frame({1: "truncated"}))
    parts = parts_over(api, Failing(api.storage, f"jobs/{bad}/frames/", wrong))
    tried(api, parts, "finish", TRIES - 1)
    assert (shown(north, bad)["state"], shown(north, good)["state"]) == ("finishing", "succeeded")
    tried(api, parts, "finish", 1)
    ended = shown(north, bad)
    assert (ended["state"], ended["reason"], ended["error"]["code"]) == ("failed", *["finishing_failed"] * 2)
    assert "result" not in ended["links"]
    assert (ended["frames"]["succeeded"], ended["frames"]["failed"], ended["frames"]["waiting"]) == (1, 1, 0)
    items = north.get(f"/v1/jobs/{bad}/items").json()["items"]
    assert sorted(item["state"] for item in items) == ["failed", "succeeded"]
    assert api.ledger.wake_ups.work("finish") == 0
    parts.recorder.tell()
    assert api.ledger.metrics.snapshot().counts["halted"] == {"finish": 1}

    found = recover(parts_of(api), later())
    assert found["jobs without a result resumed"] == 1
    planned(api)
    assert finished(api, bad).counts.succeeded == 1
    assert (shown(north, bad)["state"], "error" in shown(north, bad)) == ("partial", False)


def test_a_plan_that_always_fails_ends_its_job_alone_and_recover_lets_it_go_on(api: RunningApi, north: httpx.Client):
    bad, good = accepted(north, b"a"), accepted(north, b"b")
    parts = parts_over(api, Failing(api.storage, f"jobs/{bad}/job.json", wrong))
    tried(api, parts, "plan", TRIES)
    assert shown(north, bad)["state"] == "failed"
    assert shown(north, bad)["reason"] == "planning_failed"
    assert shown(north, good)["state"] == "running"
    recover(parts_of(api), later())
    assert driven(api, bad).state == "succeeded"


def test_tries_that_end_their_process_count(api: RunningApi, north: httpx.Client):
    job = accepted(north, b"a")
    planned(api)
    scored(api)
    for _ in range(TRIES):
        make_due(api, "finish")
        assert api.ledger.step_leases.take("finish") is not None
    make_due(api, "finish")
    finish_jobs(parts_of(api), time.monotonic() + 60)
    assert shown(north, job)["reason"] == "finishing_failed"


def test_an_outage_of_storage_is_no_failure_of_the_step(api: RunningApi, north: httpx.Client):
    job = accepted(north, b"a")
    storage = Failing(api.storage, f"jobs/{job}/job.json", away)
    tried(api, parts_over(api, storage), "plan", 2 * TRIES)
    assert shown(north, job)["state"] == "accepted"
    storage.on = False
    tried(api, parts_over(api, storage), "plan", 1)
    scored(api)
    storage.on = True
    tried(api, parts_over(api, storage), "finish", 2 * TRIES)
    assert shown(north, job)["state"] == "finishing"
    make_due(api, "finish")
    assert finished(api, job).state == "succeeded"


def test_a_job_that_was_given_up_stays_so_when_redis_is_lost(api: RunningApi, north: httpx.Client, empty_valkey: str):
    job = accepted(north, b"a", b"b")
    planned(api)
    scored(api)
    tried(api, parts_over(api, Failing(api.storage, "/frames/", wrong)), "finish", TRIES)
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    assert (shown(north, job)["state"], shown(north, job)["reason"]) == ("failed", "finishing_failed")
    reconcile_job(parts_of(api), job)
    record = api.ledger.jobs.get(job)
    assert record is not None
    assert (record.state, record.halted, record.frames.succeeded) == ("failed", "finishing_failed", 2)
    assert api.ledger.wake_ups.work("plan") == api.ledger.wake_ups.work("finish") == 0
    reconcile_job(parts_of(api), job)
    assert shown(north, job)["state"] == "failed"


def test_a_job_that_was_given_up_can_be_deleted_and_expires(api: RunningApi, north: httpx.Client):
    deleted, old = accepted(north, b"a"), accepted(north, b"b")
    planned(api)
    scored(api)
    tried(api, parts_over(api, Failing(api.storage, "/frames/", wrong)), "finish", TRIES)
    with api.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{deleted}").status_code == 204
    assert north.post(f"/v1/jobs/{old}/cancel").status_code == 409
    assert judge_jobs(parts_of(api), api.storage.list(keys.JOBS), later(days=29)) == 0
    assert judge_jobs(parts_of(api), api.storage.list(keys.JOBS), later(days=31)) == 1
    assert north.get(f"/v1/jobs/{old}").status_code == 410


def assembled(api: RunningApi, context: WorkerContext, times: int) -> None:
    """Let the items that wait for their files be tried so often, without waiting in between."""
    for _ in range(times):
        with redis.Redis.from_url(api.settings.redis_url.get_secret_value()) as client:
            waiting = client.zrange("mr:assembling", 0, -1)
            client.zadd("mr:assembling", dict.fromkeys(waiting, 1), xx=True)
        with suppress(StorageUnavailable):
            assemble_items(context, time.monotonic() + 60)


def assembling(api: RunningApi, client: httpx.Client) -> str:
    """A job that waits for the files of its item."""
    job = accepted(client, b"a", options={"outputs": ["geojson"]})
    planned(api)
    scored(api)
    finish_jobs(parts_of(api), time.monotonic() + 60)
    assert api.ledger.wake_ups.work("assemble") == 1
    return job


def test_an_item_whose_plan_cannot_be_read_ends_its_job(api: RunningApi, north: httpx.Client):
    job = assembling(api, north)
    assembled(api, parts_over(api, Failing(api.storage, "/plan/", wrong)), TRIES)
    assert shown(north, job)["reason"] == "assembling_failed"
    recover(parts_of(api), later())
    planned(api)
    finish_jobs(parts_of(api), time.monotonic() + 60)
    assembled(api, parts_of(api), 1)
    assert finished(api, job).state == "succeeded"


def test_an_item_whose_outcomes_cannot_be_read_fails_alone(api: RunningApi, north: httpx.Client):
    job = assembling(api, north)
    assembled(api, parts_over(api, Failing(api.storage, "/outcomes/", wrong)), 3)
    assert finished(api, job).state == "partial"
    items = north.get(f"/v1/jobs/{job}/items").json()["items"]
    assert items[0]["errors"]["geojson"]["code"] == "assembly_failed"


def test_an_outage_of_storage_is_no_failure_of_an_item(api: RunningApi, north: httpx.Client):
    job = assembling(api, north)
    assembled(api, parts_over(api, Failing(api.storage, "/plan/", away)), 2 * TRIES)
    assembled(api, parts_of(api), 1)
    assert finished(api, job).state == "succeeded"


def test_an_outage_of_redis_is_no_failure_of_a_step(api: RunningApi, north: httpx.Client, empty_valkey: str):
    job = accepted(north, b"a")
    with tcp_proxy(urlsplit(empty_valkey).port or 0) as proxy:
        ledger = make_ledger(make_settings(api.folder, f"redis://127.0.0.1:{proxy.port}/0"))
        for _ in range(2 * TRIES):
            make_due(api, "plan")
            lease = ledger.step_leases.take("plan")
            assert lease is not None
            assert (lease.job, lease.tries) == (job, 1)
            proxy.cut()
            ledger.step_leases.excuse(lease, timedelta(0))
            proxy.mend()


def large_job(api: RunningApi, client: httpx.Client, plan_parts: int) -> str:
    """A job of so many parts of the plan, all of whose frames are scored; it waits to be finished."""
    job = accepted(client, b"large")
    lease = api.ledger.step_leases.take("plan")
    assert lease is not None
    for part in range(plan_parts):
        numbers = range(part * FRAMES_PER_PART, (part + 1) * FRAMES_PER_PART)
        items = [PlannedItem(item=n, custom_id=str(n), first=n, frames=1) for n in numbers]
        frames = [PlannedFrame(frame=n, item=n, source="s", size=1, sha256="", prompts=("a",)) for n in numbers]
        write_records(api.storage, keys.item_part(job, part), items)
        write_records(api.storage, keys.frame_part(job, part), frames)
        found = {"first": numbers.start, "n": len(numbers), "spans": [], "lane": "bulk", "items": numbers.stop}
        assert api.ledger.step_leases.extend(lease, part, last=part == plan_parts - 1, **found)
        write_records(api.storage, keys.outcome_part(job, ledger_part(part)), [outcome(one, None) for one in frames])
    reconcile_job(parts_of(api), job)
    assert shown(client, job)["state"] == "finishing"
    return job


def test_a_large_finish_goes_on_in_turns_and_small_ones_pass_between(
    api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch
):
    for module in (worker.finish.final_objects, worker.finish.finish_step):
        monkeypatch.setattr(module, "STRETCH_PARTS", 1)
    large = large_job(api, north, 4)
    parts = parts_of(api)
    finish_jobs(parts, time.monotonic() + 0.001)
    assert shown(north, large)["state"] == "finishing"
    small = accepted(north, b"small")
    planned(api)
    scored(api)
    ended = []
    for _ in range(20):
        finish_jobs(parts, time.monotonic() + 0.001)
        ended += [job for job in (large, small) if job not in ended and shown(north, job)["state"] == "succeeded"]
        if large in ended:
            break
    assert ended == [small, large]
    result = Result.model_validate_json(api.storage.get(keys.result(large)))
    assert (result.counts.succeeded, result.frames.planned) == (4000, 4000)
    items = north.get(f"/v1/jobs/{large}/items?limit=1000").json()["items"]
    assert [item["custom_id"] for item in items] == list(map(str, range(1000)))
    assert list(api.storage.list(keys.unfinished(large)))
    sweep_stray_objects(parts, [large], later(hours=1))
    assert list(api.storage.list(keys.unfinished(large))) == []


def test_a_long_step_gives_way_to_those_that_wait_and_to_nobody_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker.context.turn, "LEAST", 0.0)
    monkeypatch.setattr(worker.context.turn, "ASK", 0.0)
    waiting = iter([False, False, True, False])
    turn = Turn(time.monotonic() + 60, lambda: next(waiting))
    assert [turn.is_over() for _ in range(5)] == [False, False, False, True, True]
    turn = Turn(time.monotonic() - 1)
    assert [turn.is_over() for _ in range(3)] == [False, True, True]


def test_another_job_is_finished_within_one_that_is_being_joined(api: RunningApi, north: httpx.Client) -> None:
    parts, turn = parts_of(api), Turn(0.0)
    job = accepted(north, b"a")
    planned(api)
    scored(api)
    _finish_another(parts, turn)  # its least time has only begun
    assert not has(api.storage, keys.result(job))
    _finish_another(parts, turn)
    assert has(api.storage, keys.result(job))
    assert state_of(api.ledger, job) == "succeeded"
    _finish_another(parts, turn)
