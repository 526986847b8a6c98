import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import psutil
import pytest

from maskrelay.errors import StackError
from maskrelay.stack.child_process import ChildProcess
from maskrelay.stack.forked_processes import ForkServer
from maskrelay.stack.stack_processes import IMPORTED_ONCE
from maskrelay.stack.supervisor import Ending, Supervisor
from tests.support.servers.simulators import eventually

#: Says how it was started, and then waits or ends as its argument says.
EXAMPLE = """
import os, sys, time
print(sys.argv[1:], __name__, "said before" in sys.modules, os.getpgid(0) == os.getpid(), flush=True)
if __name__ == "__main__":
    time.sleep(600) if sys.argv[1] == "wait" else sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "forked_example.py").write_text(EXAMPLE)
    (tmp_path / "imported_once.py").write_text("import sys\nsys.modules['said before'] = sys\n")
    (tmp_path / "not_importable.py").write_text("raise SystemExit('no such library')")
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


@pytest.fixture
def server(tmp_path: Path, environment: dict[str, str]) -> Iterator[ForkServer]:
    with closing(ForkServer(["imported_once"], environment, tmp_path / "server.log")) as server:
        yield server


def command(word: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "forked_example", word)


def test_a_process_runs_its_module_with_what_was_imported_and_its_exit_code_is_known(
    server: ForkServer, tmp_path: Path
) -> None:
    assert server.fork(command("7"), tmp_path / "log").wait() == 7
    assert (tmp_path / "log").read_text() == "['7'] __main__ True True\n"
    assert server.fork(command("0"), tmp_path / "log").wait() == 0


def test_a_process_is_shown_with_its_own_command_and_ends_by_a_signal(server: ForkServer, tmp_path: Path) -> None:
    process = server.fork(command("wait"), tmp_path / "log")
    assert eventually(lambda: "wait" in (tmp_path / "log").read_text())
    assert " ".join(psutil.Process(process.pid).cmdline()).strip() == " ".join(command("wait"))
    assert process.poll() is None
    process.terminate()
    assert process.wait() == -signal.SIGTERM


def test_when_the_server_dies_its_processes_count_as_ended_and_the_next_one_has_a_new_server(
    server: ForkServer, tmp_path: Path
) -> None:
    orphan = server.fork(command("wait"), tmp_path / "log")
    dead = server.pid
    assert dead is not None
    psutil.Process(dead).kill()
    assert eventually(lambda: orphan.poll() == -signal.SIGKILL)
    os.kill(orphan.pid, signal.SIGKILL)  # as the supervisor does
    assert server.fork(command("3"), tmp_path / "log").wait() == 3
    assert server.pid != dead


def test_a_server_that_cannot_import_is_an_error_with_its_last_words(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with (
        closing(ForkServer(["not_importable"], environment, tmp_path / "server.log")) as server,
        pytest.raises(StackError, match="no such library"),
    ):
        server.fork(command("0"), tmp_path / "log")


def test_what_the_stack_imports_once_starts_no_thread(tmp_path: Path) -> None:
    with closing(ForkServer(IMPORTED_ONCE, os.environ, tmp_path / "server.log")) as server:
        assert server.fork((sys.executable, "-m", "worker"), tmp_path / "log").wait() == 2
        assert (tmp_path / "log").read_text().startswith("usage: python -m worker")
        assert psutil.Process(server.pid).num_threads() == 1


def test_the_supervisor_starts_the_processes_of_a_dead_server_again(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    said: list[str] = []
    ending = Ending()
    stages = [[ChildProcess(name, command("wait"), forked=True) for name in ("one", "two")]]
    supervisor = Supervisor(
        stages, environment=environment, logs=tmp_path, say=said.append, ending=ending, modules=["imported_once"]
    )
    try:
        supervisor.start_all()
        before = supervisor.processes
        orphans = [psutil.Process(pid) for pid in before.values()]
        (dead,) = set(supervisor.groups) - set(before.values())
        watching = Thread(target=supervisor.watch)
        watching.start()
        psutil.Process(dead).kill()
        assert eventually(lambda: len(said) == 2 and len(supervisor.processes) == 2)
        ending.wanted = True
        watching.join()
        assert not psutil.wait_procs(orphans, timeout=10)[1]
        assert not set(before.values()) & set(supervisor.processes.values())
        again = [psutil.Process(pid) for pid in supervisor.processes.values()]
    finally:
        ending.wanted = True
        supervisor.end()
    assert not psutil.wait_procs(again, timeout=10)[1]
