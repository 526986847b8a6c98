"""The control worker's hold on its sweep, over real processes."""

import sys
from collections.abc import Iterator

import psutil
import pytest

from tests.support.servers.simulators import eventually
from worker.process import sweep_supervisor as module
from worker.process.sweep_supervisor import SweepSupervisor

#: Makes a pass every 10 ms.
LIVELY = "import sys, time\nwhile True: sys.stdout.write('.'); sys.stdout.flush(); time.sleep(0.01)"
SILENT = "import time; print('.', flush=True); time.sleep(600)"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SweepSupervisor]]:
    monkeypatch.setattr(module, "pause_after", lambda failures: None if failures >= 3 else 0.0)
    made: list[SweepSupervisor] = []
    yield made
    for one in made:
        one.end()
        if one._process is not None:
            one._process.wait()
            one._process.stdout.close()


def sweeper(made: list[SweepSupervisor], code: str, silent: float = 60) -> SweepSupervisor:
    made.append(SweepSupervisor((sys.executable, "-c", code), silent))
    return made[-1]


def looked(sweeper: SweepSupervisor) -> bool:
    """Look, as the worker's loop does again and again."""
    sweeper.check()
    return sweeper.is_alive()


def test_a_sweep_that_is_killed_is_started_again(made: list[SweepSupervisor], caplog: pytest.LogCaptureFixture) -> None:
    sweep = sweeper(made, LIVELY)
    assert not sweep.is_alive()
    assert looked(sweep)
    first = sweep._process
    psutil.Process(first.pid).kill()
    assert eventually(lambda: not sweep.is_alive())
    assert eventually(lambda: looked(sweep))
    assert sweep._process.pid != first.pid
    assert "the sweep ended with -9; it starts again in 0 s" in caplog.text
    assert not sweep.given_up


def test_a_sweep_that_keeps_ending_is_given_up(made: list[SweepSupervisor], caplog: pytest.LogCaptureFixture) -> None:
    sweep = sweeper(made, "raise SystemExit(3)")
    assert eventually(lambda: looked(sweep) is False and sweep.given_up)
    assert caplog.text.count("the sweep ended with 3") == 3
    assert "it failed 3 times in a row, so the control worker ends" in caplog.text
    sweep.check()
    assert not sweep.is_alive()


def test_a_sweep_that_makes_no_pass_is_not_alive_and_is_killed(made: list[SweepSupervisor]) -> None:
    sweep = sweeper(made, SILENT, silent=1.0)
    assert looked(sweep)
    first = sweep._process
    assert eventually(lambda: looked(sweep) and sweep._process is not first)
    assert first.returncode == -9


def test_a_sweep_that_makes_its_passes_is_left_alone(made: list[SweepSupervisor]) -> None:
    sweep = sweeper(made, LIVELY, silent=2.0)
    assert looked(sweep)
    first, heard = sweep._process, sweep._heard
    assert eventually(lambda: looked(sweep) and sweep._heard > heard + 2.5)
    assert sweep._process is first


def test_a_sweep_that_cannot_be_started_is_given_up_as_well(
    made: list[SweepSupervisor], caplog: pytest.LogCaptureFixture
) -> None:
    made.append(SweepSupervisor(("/no/such/program",)))
    assert eventually(lambda: looked(made[-1]) is False and made[-1].given_up)
    assert caplog.text.count("the sweep could not be started: No such file or directory") == 3
