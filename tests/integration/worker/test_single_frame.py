"""Jobs of a single frame: the process that settles the frame also finishes the job."""

from collections.abc import Iterator

import httpx
import pytest

from maskrelay.contract.records import keys
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.driven_jobs import finished, planned
from tests.support.servers.apis import RunningApi
from tests.support.servers.simulators import RunningSimulator, eventually, running_simulator
from tests.support.servers.workers import running_worker


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(canned=True) as running:
        yield running


def state_of(api: RunningApi, job: str) -> str:
    record = api.ledger.jobs.get(job)
    assert record is not None
    return record.state


def test_a_job_of_one_frame_ends_without_a_control_worker(
    api: RunningApi, north: httpx.Client, simulator: RunningSimulator
) -> None:
    single = accepted(north, saved(gradient(), "PNG"))
    planned(api)
    with running_worker("segment", api, endpoint_url=simulator.url, endpoint_key=simulator.key):
        assert eventually(lambda: state_of(api, single) == "succeeded", within_s=240)
        pair = accepted(north, *(saved(gradient(), "PNG") for _ in range(2)))
        planned(api)
        assert eventually(lambda: state_of(api, pair) == "finishing", within_s=240)
    assert api.objects(keys.LIVE) == [keys.live(pair)]
    assert finished(api, pair).counts.succeeded == 2
