"""Redis does not respond to the one command that follows a promise: the next pass of the sweep makes up for it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.drivers.api_jobs import accepted, failed, finish, submission_of, submit
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.sending import send_due
from tests.support.proxies.redis_proxy import RedisProxy, redis_proxy
from tests.support.servers.apis import RunningApi, running_api
from tests.support.servers.receivers import receiver, status
from tests.support.servers.simulators import eventually
from worker.context.job_records.conclusion import conclude
from worker.context.job_records.plans import Plans
from worker.sweep.sweep_pass import sweep


@pytest.fixture
def proxy(empty_valkey: str) -> Iterator[RedisProxy]:
    port = urlsplit(empty_valkey).port
    assert port is not None
    with redis_proxy(port) as running:
        yield running


@pytest.fixture
def api(tmp_path: Path, proxy: RedisProxy) -> Iterator[RunningApi]:
    with running_api(tmp_path / "store", f"redis://127.0.0.1:{proxy.port}/0") as running:
        yield running


@pytest.fixture
def north(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


def send_without(proxy: RedisProxy, script: str, request: Callable[[], httpx.Response]) -> httpx.Response:
    """Send a request whose first run of this script is lost together with its connection."""
    with ThreadPoolExecutor(1) as beside:
        with proxy.held(proxy.script(script)) as hold:
            answer = beside.submit(request)
            hold.await_caught()
        return answer.result()


def after_a_pass(api: RunningApi, condition: Callable[[], bool]) -> bool:
    """Whether passes of the sweep that do not compare all jobs with storage bring this about."""

    def swept() -> bool:
        sweep(parts_of(api), Plans(api.storage), compare_every=None)
        return condition()

    return eventually(swept)


def test_a_job_that_could_not_be_recorded_is_planned_soon(
    api: RunningApi, north: httpx.Client, proxy: RedisProxy
) -> None:
    answer = send_without(proxy, "create", lambda: submit(north, b"pixels"))
    job = answer.json()["id"]
    assert (answer.status_code, answer.json()["state"]) == (202, "accepted")
    assert api.ledger.jobs.get(job) is None
    assert after_a_pass(api, lambda: api.ledger.jobs.get(job) is not None)
    step = api.ledger.step_leases.take("plan")
    assert step is not None
    assert step.job == job


def test_a_job_that_could_not_be_cancelled_is_cancelled_soon(
    api: RunningApi, north: httpx.Client, proxy: RedisProxy
) -> None:
    job = accepted(north, b"pixels")
    answer = send_without(proxy, "cancel", lambda: north.post(f"/v1/jobs/{job}/cancel"))
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelling")
    assert state_of(api, job) == "accepted"
    assert after_a_pass(api, lambda: state_of(api, job) != "accepted")


def test_a_job_that_could_not_be_forgotten_is_forgotten_soon(
    api: RunningApi, north: httpx.Client, proxy: RedisProxy
) -> None:
    job = accepted(north, b"pixels")
    with api.client("admin") as admin:
        answer = send_without(proxy, "forget", lambda: admin.delete(f"/v1/jobs/{job}"))
    assert answer.status_code == 204
    assert state_of(api, job) == "accepted"
    assert after_a_pass(api, lambda: api.ledger.jobs.get(job) is None)


def test_an_event_that_could_not_be_replayed_is_replayed_soon(
    api: RunningApi, north: httpx.Client, proxy: RedisProxy
) -> None:
    with receiver(status(200)) as hook:
        job = accepted(north, b"pixels", options={"callback": {"url": hook.url()}})
        result = finish(api, job, failed(0), known=False)
        conclude(parts_of(api), submission_of(api, job), result)
        send_due(api)
        (told,) = north.get(f"/v1/jobs/{job}/deliveries").json()["deliveries"]
        replay = f"/v1/jobs/{job}/deliveries/{told['event']}/replay"
        answer = send_without(proxy, "replay", lambda: north.post(replay))
        assert (answer.status_code, answer.json()["state"]) == (202, "waiting")
        assert api.ledger.wake_ups.work("deliver") == 0
        assert after_a_pass(api, lambda: api.ledger.wake_ups.work("deliver") == 1)
        send_due(api)
    assert len(hook.received) == 2


def state_of(api: RunningApi, job: str) -> str | None:
    record = api.ledger.jobs.get(job)
    return record and record.state
