"""As many loops run as there is work and as there are children: nothing waits behind what is slow."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
import redis

from maskrelay.rules.lanes import callbacks_share
from maskrelay.storage.file_store import FileStorage
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.driven_jobs import driven, planned, scored
from tests.support.servers.apis import RunningApi
from tests.support.servers.receivers import Receiver, receiver, status
from tests.support.servers.simulators import eventually
from tests.support.servers.workers import running_worker
from worker.context import WorkerContext
from worker.finish.finish_step import finish_jobs

#: A receiver that hangs does so for longer than any of these tests takes.
PATIENT = {"callback_timeout_s": 200, "delivery_lease_s": 300}


class Hang:
    """How receivers answer that do not, until `over`."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        self.over.wait()
        status(204)(handler)


@pytest.fixture
def hang() -> Iterator[Hang]:
    hang = Hang()
    yield hang
    hang.over.set()


def hanging(held: ExitStack, hang: Hang, count: int) -> list[Receiver]:
    return [held.enter_context(receiver(hang)) for _ in range(count)]


def ended(api: RunningApi, client: httpx.Client, hook: Receiver) -> str:
    job = accepted(client, b"a", options={"callback": {"url": hook.url(), "events": ["job.succeeded"]}})
    driven(api, job)
    return job


def test_receivers_that_hang_do_not_delay_another(api: RunningApi, north: httpx.Client, hang: Hang) -> None:
    with ExitStack() as held:
        receivers = [*hanging(held, hang, 5), held.enter_context(receiver(status(204)))]
        for one in receivers:
            ended(api, north, one)
        with running_worker("deliver", api, deliver_threads=8, **PATIENT):
            assert eventually(lambda: all(one.received for one in receivers), within_s=60)
            hang.over.set()


def test_an_event_that_comes_while_every_loop_hangs_is_sent_by_another(
    api: RunningApi, north: httpx.Client, hang: Hang
) -> None:
    with ExitStack() as held, running_worker("deliver", api, deliver_threads=8, **PATIENT):
        for one in hanging(held, hang, 3):
            ended(api, north, one)
            assert eventually(lambda one=one: bool(one.received), within_s=60)
        healthy = held.enter_context(receiver(status(204)))
        ended(api, north, healthy)
        assert eventually(lambda: bool(healthy.received), within_s=60)
        hang.over.set()


def test_a_tenant_whose_receivers_all_hang_leaves_threads_to_the_others(
    api: RunningApi, north: httpx.Client, south: httpx.Client, hang: Hang
) -> None:
    threads = 4
    with ExitStack() as held:
        bad = hanging(held, hang, 2 * threads)
        good = held.enter_context(receiver(status(204)))
        for one in bad:
            ended(api, north, one)
        with running_worker("deliver", api, deliver_threads=threads, **PATIENT):
            assert eventually(lambda: sum(bool(one.received) for one in bad) == callbacks_share(threads), within_s=60)
            ended(api, south, good)
            assert eventually(lambda: bool(good.received), within_s=60)
            assert sum(bool(one.received) for one in bad) == callbacks_share(threads)
            hang.over.set()


class Held(FileStorage):
    """A folder in which the outcomes of one job are not read before they may be."""

    def __init__(self, api: RunningApi, job: str) -> None:
        super().__init__(api.folder)
        self._job = job
        self.reached, self.release = threading.Event(), threading.Event()

    def stream(self, key: str, *more: object, **named: object) -> Iterator[bytes]:
        self._hold(key)
        return super().stream(key, *more, **named)

    def get(self, key: str, *more: object, **named: object) -> bytes:
        self._hold(key)
        return super().get(key, *more, **named)

    def _hold(self, key: str) -> None:
        if key.startswith(f"jobs/{self._job}/outcomes/"):
            self.reached.set()
            assert self.release.wait(100)


def test_jobs_that_can_finish_do_not_wait_for_another_that_finishes(api: RunningApi, north: httpx.Client) -> None:
    big = accepted(north, b"a")
    planned(api)
    scored(api)
    storage = Held(api, big)
    finishing = threading.Thread(
        target=finish_jobs, args=(WorkerContext(api.settings, storage, api.ledger), time.monotonic() + 100)
    )
    api.ledger.wake_ups.running("finish", "the big one's", api.settings.visibility_timeout)
    finishing.start()
    try:
        assert storage.reached.wait(60)
        small = [accepted(north, b"b") for _ in range(3)]
        planned(api)
        scored(api)
        api.ledger.wake_ups.wake("finish")
        with running_worker("control", api, control_children=2):
            assert eventually(lambda: all(api.ledger.jobs.get(job).state == "succeeded" for job in small), within_s=90)
            assert api.ledger.jobs.get(big).state == "finishing"
    finally:
        storage.release.set()
        finishing.join()


def test_a_loop_whose_frames_wait_for_a_gate_stays_instead_of_beginning_again_and_again(
    api: RunningApi, north: httpx.Client, empty_valkey: str
) -> None:
    accepted(north, b"a")
    planned(api)
    with redis.Redis.from_url(empty_valkey, decode_responses=True) as client, ExitStack() as held:
        in_ten_minutes = (client.time()[0] + 600) * 1000
        client.hset("mr:flow:default", mapping={"gate": "closed", "closed_until": in_ten_minutes, "reason": "denied"})
        held.enter_context(running_worker("segment", api, endpoint_url="http://127.0.0.1:9/score", endpoint_key="key"))
        assert eventually(lambda: client.zcard("mr:loops:segment") == 1, within_s=60)
        begun = client.info("commandstats")["cmdstat_lpush"]["calls"]
        for _ in range(3):  # it says three times more that it runs
            (deadline,) = client.zrange("mr:loops:segment", 0, -1, withscores=True)
            assert eventually(lambda d=deadline: client.zrange("mr:loops:segment", 0, -1, withscores=True) != [d])
        assert client.info("commandstats")["cmdstat_lpush"]["calls"] == begun
