"""Each process and each thread of the service dies alone, at rest and under load: every job ends.

The stack's supervisor looks after its processes here, as it does in `make up`. docs/explanation/processes.md says who
looks after the others.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.conftest import Fault
from tests.support.checks.faults_check import check
from tests.support.drivers.stack_behind_proxies import PROCESSES, Scene, scene
from tests.support.servers.simulators import eventually

DEATHS = Path(__file__).parent / "deaths"
#: How a thread's death is told in the log of its process.
TOLD = ("failed and is restarted", "died, so the process terminates")


@dataclass(frozen=True)
class Mortal:
    """A process of the service: the one that the supervisor started, or one that it started in turn.

    thread: how the name of the thread begins that is to die in it; "": the whole process.
    """

    process: str
    which: str = "itself"
    thread: str = ""

    def __str__(self) -> str:
        whole = self.process if self.which == "itself" else f"{self.which} of {self.process}"
        return f"thread {self.thread} in {whole}" if self.thread else whole

    def found(self, at: Scene) -> psutil.Process | None:
        """The process, once it is there."""
        with suppress(KeyError, psutil.NoSuchProcess):
            first = psutil.Process(at.stack.processes[self.process])
            if self.which == "itself":
                return first
            for one in first.children():
                if ("sweep" in one.cmdline()) == (self.which == "sweep") and one.status() != psutil.STATUS_ZOMBIE:
                    return one
        return None

    def dies(self, at: Scene, beginning: Path) -> None:
        """SIGKILL to the process, or an exception in its thread."""
        assert eventually(lambda: self.found(at) is not None, within_s=60)
        process = self.found(at)
        assert process is not None
        if self.thread:
            beginning.write_text(self.thread)
            process.send_signal(signal.SIGUSR2)
        else:
            process.kill()


MORTALS = (
    Mortal("api"),
    Mortal("segment"),
    Mortal("segment", "child"),
    Mortal("assemble"),
    Mortal("assemble", "child"),
    Mortal("control"),
    Mortal("control", "child"),
    Mortal("control", "sweep"),
    Mortal("deliver"),
    Mortal("api", thread="audit"),
    Mortal("api", thread="AnyIO worker thread"),
    Mortal("segment", "child", thread="renewal"),
    Mortal("segment", "child", thread="segment-loop"),
    Mortal("segment", "child", thread="blocking"),
    Mortal("segment", "child", thread="pixels"),
    Mortal("segment", "child", thread="sender"),
    Mortal("segment", "child", thread="telling"),
    Mortal("segment", "child", thread="audit"),
    Mortal("control", "child", thread="telling"),
    Mortal("control", "sweep", thread="clearing"),
    Mortal("deliver", thread="ThreadPoolExecutor"),
    Mortal("deliver", thread="telling"),
)


@pytest.fixture(scope="module")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it is written which thread is to die."""
    return tmp_path_factory.mktemp("deaths") / "beginning"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, beginning: Path) -> Iterator[Scene]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(DEATHS))
        patched.setenv("THREAD_TO_END", str(beginning))
        with scene(tmp_path_factory.mktemp("scene")) as running:
            supervisor = running.stack.stack.supervisor
            watching = threading.Thread(target=supervisor.watch)
            watching.start()
            try:
                yield running
            finally:
                supervisor._ending.wanted = True
                watching.join()


def begin(at: Scene) -> None:
    """Every process runs and has had work, so that its threads are there; from now on jobs count."""
    all_answer(at)
    at.simulator.set(service_time=0)
    at.submit(8)
    check(at)
    at.begin()


def all_answer(at: Scene) -> None:
    assert eventually(lambda: at.stack.processes.keys() >= PROCESSES and answers(at), within_s=90)


def answers(at: Scene) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{at.url}/readyz", timeout=5, trust_env=False).status_code == 200
    return False


def told(at: Scene, name: str) -> int:
    log = at.stack.log(name)
    return sum(log.count(words) for words in TOLD)


@pytest.mark.long
@pytest.mark.parametrize("mortal", MORTALS, ids=str)
def test_it_dies_alone_at_rest(shared: Scene, beginning: Path, mortal: Mortal) -> None:
    begin(shared)
    before = told(shared, mortal.process)
    mortal.dies(shared, beginning)
    await_callers(shared, mortal, before)
    shared.submit(8)
    check_after(shared, mortal, before)


@pytest.mark.long
@pytest.mark.parametrize("mortal", MORTALS, ids=str)
def test_it_dies_alone_under_load(shared: Scene, beginning: Path, mortal: Mortal) -> None:
    begin(shared)
    before = told(shared, mortal.process)
    shared.simulator.set(service_time=0.1)
    job = shared.submit(60)
    shared.under_way(job, 2)
    mortal.dies(shared, beginning)
    await_callers(shared, mortal, before)
    check_after(shared, mortal, before)


def await_callers(at: Scene, mortal: Mortal, before: int) -> None:
    """Wait until callers can reach the API again, if it was the API."""
    if mortal.process == "api":
        if mortal.thread:  # a thread that waits hears of its end when it is given work
            assert eventually(lambda: (answers(at), told(at, "api") > before)[1], within_s=60)
        all_answer(at)


def check_after(at: Scene, mortal: Mortal, before: int) -> None:
    """What was submitted ends; so does what is submitted once the death of a thread is known."""
    check(at)
    if mortal.thread:
        for _ in range(20):  # a thread that waits for work hears of its end when it is given some
            if eventually(lambda: told(at, mortal.process) > before, within_s=3):
                break
            at.submit(8)
        assert told(at, mortal.process) > before
        at.submit(8)
        check(at)


def test_the_sweep_dies_alone_and_then_a_worker_with_frames_in_hand(
    shared: Scene, beginning: Path, fault: Fault
) -> None:
    begin(shared)
    shared.simulator.set(service_time=0.1)
    job = shared.submit(60)
    shared.under_way(job, 2)
    Mortal("control", "sweep").dies(shared, beginning)
    Mortal("segment", "child").dies(shared, beginning)
    fault.breaks("SIGKILL to the sweep, then to a child of the segment worker")
    fault.over()
    fault.survived(check(shared))
