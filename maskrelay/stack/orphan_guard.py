"""A separate process, the watcher, that kills the stack's processes when the supervisor dies.

A pipe leads from the supervisor to the watcher. The supervisor writes `+GROUP` for every process group that it starts,
and `-GROUP` for every group that has ended. If the supervisor dies, even by SIGKILL, the pipe closes. The watcher then
kills the groups that have not ended. Killing them is safe, because interrupted work is resumed at the next start.

Linux's parent-death signal is not used, for three reasons. It reaches only a child process, and not the processes that
the child process has started. It depends on the thread that started the child process. And it does not exist on macOS.
"""

import contextlib
import os
import signal
import subprocess
import sys
from typing import IO, Self


class Watcher:
    """The supervisor's end of the pipe. `held` are file descriptors that stay open as long as the watcher lives."""

    def __init__(self, process: "subprocess.Popen[bytes]", held: tuple[int, ...]) -> None:
        self._process = process
        self._held = held
        self._groups: set[int] = set()

    @classmethod
    def start(cls, held: tuple[int, ...] = ()) -> Self:
        return cls(_started(held), held)

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, group: int) -> None:
        self._groups.add(group)
        self._write(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._groups.discard(group)
        self._write(f"-{group}\n")

    def check(self) -> bool:
        """Restart the watcher if it has ended. Return whether it had ended."""
        if self._process.poll() is None:
            return False
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process = _started(self._held)
        self._write("".join(f"+{group}\n" for group in self._groups))
        return True

    def close(self) -> None:
        """Close the pipe, so that the watcher kills the remaining groups and ends."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the watcher has ended, and the next call of check() restarts it
            self._process.stdin.write(line.encode())


def _started(held: tuple[int, ...]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-I", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        pass_fds=held,
        start_new_session=True,
    )


def follow(lines: IO[str]) -> set[int]:
    """Read until the pipe closes, and return the groups that were started and have not ended."""
    groups: set[int] = set()
    for line in lines:
        (groups.add if line.startswith("+") else groups.discard)(int(line[1:]))
    return groups


def main() -> None:
    for group in follow(sys.stdin):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
