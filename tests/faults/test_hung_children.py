"""A child that hangs, and does not die, is killed by its worker: every job ends."""

import signal
from collections.abc import Iterator

import psutil
import pytest

from tests.faults.conftest import Fault
from tests.support.builders.pictures import three_pages
from tests.support.checks.faults_check import check
from tests.support.drivers.stack_behind_proxies import Scene, scene

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A task may last for some 30 s in segment, and for some 130 s in assemble."""
    with scene(tmp_path_factory.mktemp("scene"), task_budget_s=1) as running:
        yield running


def hang(at: Scene, fault: Fault, name: str) -> psutil.Process:
    """Stop the only child of this worker, and nothing else, for ever."""
    (child,) = psutil.Process(at.stack.processes[name]).children()
    child.send_signal(signal.SIGSTOP)
    fault.breaks(f"SIGSTOP to the child of {name} alone, for ever")
    fault.over()
    return child


def test_a_child_hangs_while_it_scores(shared: Scene, fault: Fault) -> None:
    shared.begin()
    shared.simulator.set(service_time=2)
    shared.submit(6)
    shared.await_scores(1)
    hung = hang(shared, fault, "segment")
    fault.survived(check(shared))
    assert not hung.is_running()


def test_a_child_hangs_while_it_assembles(shared: Scene, fault: Fault) -> None:
    shared.begin()
    pages = shared.folder / "pages.tiff"
    pages.write_bytes(three_pages())
    with shared.redis.held(shared.redis.script("assemble_take"), after=True, wants=b"$26") as hold:
        shared.submit_files([pages], [3], outputs=["mask", "contact-sheet"])
        hold.await_caught()
        hung = hang(shared, fault, "assemble")
    fault.survived(check(shared))
    assert not hung.is_running()
