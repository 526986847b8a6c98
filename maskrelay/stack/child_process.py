"""A process of the stack: start it, wait until it is ready, and end it with everything that it has started."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from maskrelay.stack.forked_processes import ForkedProcess, ForkServer

_LAST_WORDS = 5
#: The seconds that a killed process may take to disappear.
_DYING_S = 5.0


@dataclass(frozen=True, slots=True)
class ChildProcess:
    """A named process of the stack.

    `ready` is called until it returns True. Without `ready`, the process counts as ready at once. `grace` is the time
    from SIGTERM to SIGKILL. If `forked` is true, the fork server runs the command, which must be `PYTHON -m MODULE …`.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool] | None = None
    grace: timedelta = timedelta(seconds=10)
    forked: bool = False


class RunningProcess:
    """A child process that was started.

    It leads its own process group, so Ctrl-C does not reach it directly. The supervisor terminates it.
    """

    def __init__(
        self, child: ChildProcess, process: "subprocess.Popen[bytes] | ForkedProcess", log: Path, said_before: int
    ) -> None:
        self.child = child
        self.log = log
        self.pid = process.pid
        self._process = process
        self._said_before = said_before

    @classmethod
    def start(cls, child: ChildProcess, environment: Mapping[str, str], log: Path, server: ForkServer) -> Self:
        """Start the process, with its output appended to `log`. If `child.forked` is true, `server` forks it.

        Raises StackError if the fork server does not start.
        """
        said_before = log.stat().st_size if log.exists() else 0
        if child.forked:
            return cls(child, server.fork(child.command, log), log, said_before)
        with log.open("ab") as written:
            process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                env=dict(environment),
                process_group=0,
            )
        return cls(child, process, log, said_before)

    def ended(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Request that the process ends. The process then ends its own children."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """Kill the process and all others in its group, and wait until they are gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + _DYING_S
        while alive(self.pid) and time.monotonic() < deadline:
            time.sleep(0.01)

    def last_words(self) -> str:
        """Return the last lines that the process wrote in this run."""
        with self.log.open("rb") as written:
            written.seek(self._said_before)
            lines = written.read()[-4096:].decode(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-_LAST_WORDS:])


def alive(group: int) -> bool:
    """Return whether any process of the group is running.

    A process that has ended but was not reaped is not running.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS raises this for a group that has ended
        return False
    proc = Path("/proc")
    return not proc.is_dir() or any(_runs_in(group, entry / "stat") for entry in proc.glob("[0-9]*"))


def _runs_in(group: int, stat: Path) -> bool:
    """Return whether the process with this `/proc/PID/stat` file is running and belongs to the group.

    The state, the parent and the process group follow the name in parentheses; see proc(5).
    """
    try:
        state, _parent, its_group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
    except OSError:  # the process has ended in the meantime
        return False
    return int(its_group) == group and state not in "ZX"
