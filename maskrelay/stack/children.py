"""A process of the stack: start it, test its readiness, and end it together with everything that it started."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

_LAST_WORDS = 5
#: How long a killed process may need to be gone.
_DYING_S = 5.0


@dataclass(frozen=True, slots=True)
class Child:
    """What runs under a name. `ready` is asked until True; None is not waited for. `grace`: SIGTERM to SIGKILL."""

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool] | None = None
    grace: timedelta = timedelta(seconds=10)


class Running:
    """A started child. It leads a process group of its own, so that Ctrl-C reaches it only through the supervisor."""

    def __init__(self, child: Child, environment: Mapping[str, str], log: Path) -> None:
        self.child = child
        self.log = log
        self._said_before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as written:
            self._process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                env=dict(environment),
                process_group=0,
            )
        self.pid = self._process.pid

    def ended(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it to end; it tells its own children."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End it and everything left in its group at once; what it had started is gone when this returns."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + _DYING_S
        while alive(self.pid) and time.monotonic() < deadline:
            time.sleep(0.01)

    def last_words(self) -> str:
        """The last lines it wrote in this run."""
        with self.log.open("rb") as written:
            written.seek(self._said_before)
            lines = written.read()[-4096:].decode(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-_LAST_WORDS:])


def alive(group: int) -> bool:
    """Whether any process of the group still runs; one that has ended and is not reaped yet does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # what macOS says of a group that has ended
        return False
    proc = Path("/proc")
    return not proc.is_dir() or any(_runs_in(group, entry / "stat") for entry in proc.glob("[0-9]*"))


def _runs_in(group: int, stat: Path) -> bool:
    """proc(5): after the name in parentheses come state, parent and process group."""
    try:
        state, _parent, its_group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
    except OSError:  # ended while we looked
        return False
    return int(its_group) == group and state not in "ZX"
