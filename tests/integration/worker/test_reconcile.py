"""The comparison of storage with the ledger goes on beside the sweep, which never waits for it."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
import redis

from maskrelay.storage.file_store import FileStorage
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import planned
from tests.support.servers.apis import RunningApi
from tests.support.servers.simulators import eventually
from worker.context import WorkerContext
from worker.context.job_records.plans import Plans
from worker.sweep import sweep_pass as sweeping
from worker.sweep.reconcile import reconcile
from worker.sweep.sweep_pass import compare, sweep


class Held(FileStorage):
    """A folder whose reads of submissions can be held up."""

    def __init__(self, api: RunningApi) -> None:
        super().__init__(api.folder)
        self.reached, self.release = threading.Event(), threading.Event()

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        if key.endswith("/job.json"):
            self.reached.set()
            assert self.release.wait(60)
        return super().get(key, start, length)


@pytest.fixture
def held(api: RunningApi) -> Iterator[WorkerContext]:
    storage = Held(api)
    yield WorkerContext(api.settings, storage, api.ledger)
    storage.release.set()
    assert eventually(lambda: not any(one.name == "comparing" for one in threading.enumerate()))


def swept(context: WorkerContext, compare_every: timedelta = timedelta(minutes=10)) -> dict[str, int]:
    return sweep(context, Plans(context.storage), compare_every=compare_every)


def test_leases_and_wake_ups_are_looked_after_while_a_comparison_waits_for_storage(
    api: RunningApi, held: WorkerContext, two: str, empty_valkey: str
) -> None:
    planned(api)
    swept(held)
    assert held.storage.reached.wait(10)
    assert api.ledger.claims.take(0, ["interactive"])
    with redis.Redis.from_url(empty_valkey) as client:
        client.zadd("mr:leases", dict.fromkeys(client.zrange("mr:leases", 0, -1), 1))
        client.delete(*client.keys("mr:woken:*"), "none")
    found = swept(held)
    assert found["leases of lost workers released"] == 1
    assert found["wake-ups sent: segment"] == 1
    assert api.ledger.sweep_state.begin_reconciling(timedelta(0)) is None
    held.storage.release.set()
    assert eventually(lambda: api.ledger.metrics.snapshot().known.get("reconciled_s") is not None)


def test_jobs_are_compared_side_by_side(api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [accepted(north, b"a") for _ in range(8)]
    together = threading.Barrier(len(jobs))
    read = sweeping.reconcile.__globals__["read_submission"]

    def meeting(*given: object) -> object:
        together.wait(30)  # raises unless all jobs are read at once
        return read(*given)

    monkeypatch.setitem(sweeping.reconcile.__globals__, "read_submission", meeting)
    assert reconcile(parts_of(api))["live jobs compared"] == len(jobs)


def test_a_comparison_ends_when_it_does_not_count_any_more(
    api: RunningApi, two: str, empty_valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "GO_ON", 0.0)

    def emptied(*given: object) -> object:
        with redis.Redis.from_url(empty_valkey) as client:
            client.flushall()
        return {}

    monkeypatch.setitem(sweeping.reconcile.__globals__, "reconcile_job", emptied)
    assert compare(parts_of(api)) == {}
    monkeypatch.undo()
    assert compare(parts_of(api))["ledger records restored"] == 1


def test_a_comparison_that_fails_is_logged_and_made_again_when_it_is_not_heard_of(
    api: RunningApi, two: str, empty_valkey: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object, **__: object) -> object:
        raise RuntimeError("what nobody thought of")

    with monkeypatch.context() as broken:
        broken.setattr(sweeping, "reconcile", failing)
        swept(parts_of(api))
        assert eventually(lambda: "comparison failed" in caplog.text)
    assert compare(parts_of(api)) == {}
    with redis.Redis.from_url(empty_valkey) as client:
        (member,) = client.zrange("mr:reconciling", 0, -1)
        client.zincrby("mr:reconciling", -30_001, member)
    assert compare(parts_of(api))["live jobs compared"] == 1
