"""Finishing a job of a single frame in the process that settled it, when storage stalls."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import redis

from maskrelay.contract.records import keys
from maskrelay.ledger.claims import Claim, HeldFinish, Settlement
from tests.support.drivers.api_jobs import accepted, succeeded, write_part
from tests.support.drivers.driven_jobs import planned
from tests.support.drivers.ledger_jobs import part_name
from tests.support.servers.apis import RunningApi
from worker.context import WorkerContext
from worker.finish.finish_step import finish_jobs, finish_single_frame


class Stalling:
    """A store that does not create the object with this key until it is released."""

    def __init__(self, storage: Any, key: str) -> None:
        self._storage = storage
        self._key = key
        self.reached, self._released = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def create(self, key: str, *arguments: Any) -> None:
        if key == self._key:
            self.reached.set()
            assert self._released.wait(60)
        self._storage.create(key, *arguments)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        assert self.reached.wait(60)
        try:
            yield
        finally:
            self._released.set()


def settled(api: RunningApi, job: str) -> HeldFinish:
    """Settle the only frame of the job, and return its finish step, which the caller holds."""
    claim = api.ledger.claims.take(0, ["interactive"])
    assert isinstance(claim, Claim)
    write_part(api, job, part_name(1), succeeded(api, job, 0))
    lines, lease = [Settlement(claim.token, 0, failed=False)], timedelta(minutes=1)
    held = api.ledger.claims.settle_and_hold(job, part_name(1), lines, {}, claim.token, lease).finish
    assert held is not None
    return held


def test_another_process_takes_over_and_the_job_ends_once(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    planned(api)
    held = settled(api, job)
    storage = Stalling(api.storage, keys.result(job))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(finish_single_frame, WorkerContext(api.settings, storage, api.ledger), held)
        with storage.stalled():
            assert "renewal" not in {thread.name for thread in threading.enumerate()}
            with redis.Redis.from_url(api.settings.redis_url.get_secret_value()) as client:
                assert client.zadd("mr:step:finish", {job: 1}, xx=True, ch=True) == 1  # the lease lapses
            finish_jobs(WorkerContext(api.settings, api.storage, api.ledger), time.monotonic() + 60)
            result = api.storage.get(keys.result(job))
            assert north.get(f"/v1/jobs/{job}").json()["state"] == "succeeded"
        first.result()
    assert api.storage.get(keys.result(job)) == result
    assert north.get(f"/v1/jobs/{job}").json()["counts"]["succeeded"] == 1
