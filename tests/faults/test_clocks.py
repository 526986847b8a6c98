"""A process whose wall clock is an hour off: times that count are Redis' own."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from maskrelay.contract.records.events import event_id
from tests.faults.conftest import Fault
from tests.support.checks.faults_check import check, told
from tests.support.checks.system_programs import system_program
from tests.support.drivers.stack_behind_proxies import (
    PATIENCE_S,
    TENANTS,
    Scene,
    scene,
)
from tests.support.servers.receivers import Answer, status
from tests.support.servers.simulators import eventually

pytestmark = pytest.mark.long
OFFSETS = ("+3600s", "-3600s")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    system_program("faketime", "faketime")
    with scene(tmp_path_factory.mktemp("scene")) as running:
        yield running


def refused_once(events: set[str]) -> Answer:
    """503 to the next delivery of each of these events, which is then taken out of the set; 204 to every other."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        event = str(handler.headers["webhook-id"])
        status(503 if event in events else 204)(handler)
        events.discard(event)

    return answer


@pytest.mark.parametrize("name", ["api", "segment", "assemble", "control", "deliver"])
def test_a_clock_is_an_hour_off_in(shared: Scene, fault: Fault, name: str) -> None:
    """First ahead, then behind. Each time a job ends meanwhile, and its first delivery fails: the next one is due once
    the clock is right again. The first job's delivery is not refused: an attempt that a kill ended counts as well, and
    the third attempt is due only minutes later.
    """
    shared.begin()
    refused: set[str] = set()
    shared.told.answer = refused_once(refused)
    shared.simulator.set(service_time=0.1)
    shared.under_way(shared.submit(12, outputs=["mask", "contact-sheet"]), 1)
    for offset in OFFSETS:
        with shared.start_elsewhere_in_time(name, offset):
            job = shared.submit(24, tenant=TENANTS[1], outputs=["mask", "contact-sheet"])
            ended = event_id(job.id, "job.succeeded")
            refused.add(ended)
            assert eventually(lambda event=ended: event in told(shared), within_s=PATIENCE_S), "a job has not ended"
    fault.breaks(f"{name} killed, and started again with a clock {' then '.join(OFFSETS)} off")
    fault.over()
    fault.survived(check(shared))
