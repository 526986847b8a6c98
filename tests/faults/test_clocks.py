"""A process whose wall clock is an hour off: times that count are Redis' own."""

from collections.abc import Iterator

import pytest

from tests.faults.conftest import Fault
from tests.faults_check import check
from tests.scenes import TENANTS, Scene, scene
from tests.system_programs import system_program

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    system_program("faketime", "faketime")
    with scene(tmp_path_factory.mktemp("scene")) as running:
        yield running


@pytest.mark.parametrize("offset", ["+3600s", "-3600s"])
@pytest.mark.parametrize("name", ["api", "segment", "assemble", "control", "deliver"])
def test_a_clock_is_an_hour_off_in(shared: Scene, fault: Fault, name: str, offset: str) -> None:
    shared.begin()
    shared.simulator.set(service_time=0.1)
    job = shared.submit(12)
    shared.under_way(job, 1)
    with shared.start_elsewhere_in_time(name, offset):
        fault.breaks(f"{name} killed, and started again with a clock {offset} off")
        fault.over()
        shared.submit(24, tenant=TENANTS[1])
        fault.survived(check(shared))
