"""The object store refuses, dawdles, or loses its answers: nothing is settled that is not durable, nothing is lost."""

from collections.abc import Iterator

import httpx
import pytest

from tests.faults.conftest import Fault
from tests.support.checks.faults_check import check
from tests.support.drivers.stack_behind_proxies import (
    TENANTS,
    Scene,
    after,
    scene,
)
from tests.support.servers.simulators import eventually

pytestmark = pytest.mark.long
AWAY_S = 8


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene"), s3=True) as running:
        yield running


def under_load(shared: Scene) -> None:
    shared.begin()
    shared.simulator.set(service_time=0.2)
    jobs = [shared.submit(16), shared.submit(24, tenant=TENANTS[1])]
    shared.under_way(jobs[0], 2)


def test_the_store_refuses_everything(shared: Scene, fault: Fault):
    under_load(shared)
    shared.s3.away = True
    assert httpx.get(f"{shared.stack.url}/readyz", timeout=60).json()["storage"] == "unavailable"
    assert after(AWAY_S)
    shared.s3.away = False
    fault.breaks(f"503 to every request for {AWAY_S} s")
    fault.over()
    fault.survived(check(shared))


def test_what_the_store_did_is_not_answered(shared: Scene, fault: Fault):
    """Every fifth put is applied and its answer lost, from the submission to the end."""
    shared.begin()
    faulty = shared.s3
    faulty.lose_every = 5
    shared.submit(16)
    shared.submit(24, tenant=TENANTS[1])
    fault.breaks("every fifth put applied, its answer lost, all the time")
    fault.over()
    fault.survived(check(shared))


PUTS = {
    "the submission": "/job.json",
    "the plan": "/frames/",
    "an outcome part": "/outcomes/",
    "the result": "/result.json",
    "an event": "/events/",
    "the marker of a delivery": "/delivered/",
}


@pytest.mark.parametrize("what", PUTS)
def test_no_answer_comes_to_any_put_of(shared: Scene, fault: Fault, what: str):
    """Whoever tries again finds its own object there, or does the step once more."""
    shared.begin()
    shared.s3.lose_answers_of = PUTS[what]
    shared.submit(6)
    assert eventually(lambda: shared.s3.answers_lost >= 3, within_s=60)
    shared.s3.lose_answers_of = None
    fault.breaks("puts of it applied, their answers lost, until three were")
    fault.over()
    fault.survived(check(shared))
