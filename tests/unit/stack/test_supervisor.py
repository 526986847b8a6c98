import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread

import psutil
import pytest

from maskrelay.errors import StackError
from maskrelay.stack.child_process import ChildProcess
from maskrelay.stack.orphan_guard import Watcher
from maskrelay.stack.supervisor import Ending, Supervisor
from tests.support.servers.simulators import eventually

#: Starts a child of its own that ignores SIGTERM, says so, and waits.
PARENT = (
    "import subprocess, sys, time\n"
    'code = \'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("deaf", flush=True); '
    "time.sleep(600)'\n"
    "subprocess.Popen([sys.executable, '-c', code])\n"
    "time.sleep(600)\n"
)
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
SLEEP = "import time; time.sleep(600)"


def child(name: str, code: str, **more: object) -> ChildProcess:
    return ChildProcess(name, (sys.executable, "-c", code), **more)  # type: ignore[arg-type]


@contextmanager
def supervised(tmp_path: Path, *stages: list[ChildProcess]) -> Iterator[tuple[Supervisor, Ending, list[str]]]:
    said: list[str] = []
    ending = Ending()
    supervisor = Supervisor(stages, environment={}, logs=tmp_path, say=said.append, ending=ending)
    try:
        yield supervisor, ending, said
    finally:
        supervisor.end()


def says(tmp_path: Path, name: str, words: str) -> bool:
    return words in (tmp_path / f"{name}.log").read_text()


def test_a_stage_starts_when_the_one_before_it_is_ready(tmp_path: Path) -> None:
    order: list[str] = []

    def ready(name: str) -> bool:
        order.append(name)
        return order.count(name) == 3

    first = child("first", SLEEP, ready=lambda: ready("first"))
    second = child("second", SLEEP, ready=lambda: ready("second"))
    with supervised(tmp_path, [first], [second]) as (supervisor, _, _said):
        supervisor.start_all()
        assert order == ["first"] * 3 + ["second"] * 3
        assert list(supervisor.processes) == ["first", "second"]


def test_a_child_that_ends_before_it_is_ready_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    bad = child("bad", "import sys; sys.exit('no such thing')", ready=lambda: False)
    with supervised(tmp_path, [child("good", SLEEP)], [bad]) as (supervisor, _, _said):
        with pytest.raises(StackError, match="bad ended with exit code 1:\n    no such thing"):
            supervisor.start_all()
        groups = list(supervisor.groups)
    assert not any(psutil.pid_exists(group) for group in groups)


def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    with supervised(tmp_path, [child("parent", PARENT)]) as (supervisor, _, _said):
        supervisor.start_all()
        assert eventually(lambda: says(tmp_path, "parent", "deaf"))
        (grandchild,) = psutil.Process(supervisor.processes["parent"]).children()
    assert not psutil.wait_procs([grandchild], timeout=10)[1]


def test_a_watcher_that_is_killed_is_started_again_and_knows_every_group(tmp_path: Path) -> None:
    with supervised(tmp_path, [child("parent", PARENT)]) as (supervisor, ending, said):
        supervisor.start_all()
        watcher = supervisor._watcher
        watching = Thread(target=supervisor.watch)
        watching.start()
        psutil.Process(watcher.pid).kill()
        assert eventually(lambda: said == ["the watcher ended and was restarted"])
        ending.wanted = True
        watching.join()
        processes = [psutil.Process(supervisor.processes["parent"])]
        assert eventually(lambda: says(tmp_path, "parent", "deaf"))
        processes += processes[0].children()
        watcher._process.stdin.close()  # as at the supervisor's death
        assert not psutil.wait_procs(processes, timeout=10)[1]
        assert watcher._process.wait(10) == 0
        watcher._process = Watcher.start()._process  # for the end that follows


def test_a_child_that_does_not_end_in_time_is_killed_and_that_is_said(tmp_path: Path) -> None:
    deaf = child("deaf", DEAF, grace=timedelta(seconds=0.2))
    with supervised(tmp_path, [deaf]) as (supervisor, _, said):
        supervisor.start_all()
        assert eventually(lambda: says(tmp_path, "deaf", "deaf"))
    assert said == ["deaf did not stop in time and is killed"]


def test_the_grace_is_left_out_when_the_end_is_wanted_at_once(tmp_path: Path) -> None:
    with supervised(tmp_path, [child("deaf", DEAF, grace=timedelta(hours=1))]) as (supervisor, ending, said):
        supervisor.start_all()
        assert eventually(lambda: says(tmp_path, "deaf", "deaf"))
        ending.wanted = ending.at_once = True
    assert said == []
    assert supervisor.processes == {}


def test_a_child_that_keeps_dying_starts_again_after_longer_and_longer_pauses(tmp_path: Path) -> None:
    with supervised(tmp_path, [child("short", "pass")]) as (supervisor, ending, said):
        supervisor.start_all()
        watching = Thread(target=supervisor.watch)
        watching.start()
        assert eventually(lambda: len(said) >= 2)
        ending.wanted = True
        watching.join()
    assert [words.split("is restarted in ")[1] for words in said[:2]] == ["0.5 s", "1 s"]


def test_a_child_that_fails_to_start_three_times_in_a_row_ends_the_stack_with_its_last_words(tmp_path: Path) -> None:
    with supervised(tmp_path, [child("bad", "import sys; sys.exit('no such key')")]) as (supervisor, _, said):
        supervisor.start_all()
        with pytest.raises(StackError, match="bad ended 3 times during its start, with exit code 1:\n    no such key"):
            supervisor.watch()
    assert len(said) == 2


def test_a_child_that_others_kill_is_started_again_however_often(tmp_path: Path) -> None:
    with supervised(tmp_path, [child("killed", SLEEP)]) as (supervisor, ending, said):
        supervisor.start_all()
        watching = Thread(target=supervisor.watch)
        watching.start()
        for times in range(1, 5):
            assert eventually(lambda: "killed" in supervisor.processes)
            psutil.Process(supervisor.processes["killed"]).kill()
            assert eventually(lambda times=times: len(said) == times)
        assert watching.is_alive()
        ending.wanted = True
        watching.join()
