"""A separate process that imports the service once, and forks the simulator, the API and the workers.

`python -m maskrelay.stack.fork_server MODULE …` imports the modules. Then it serves one supervisor, whose socket is its
standard input. For each line `{"command": […], "log": …}`, the server forks a process and answers `{"pid": …}`. When a
forked process has ended, the server sends `{"ended": PID, "code": …}`. The server ends when the supervisor is gone.

A thread or a connection would not survive the fork, so the imported modules must start no thread and open no
connection.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a forked process would otherwise write to the memory that it shares
    supervisor = socket.socket(fileno=sys.stdin.fileno())
    request = _serve(supervisor)
    supervisor.detach()
    if request is not None:
        _become(request["command"], Path(request["log"]))


def _serve(supervisor: socket.socket) -> dict[str, Any] | None:
    """Fork a process for each request. Return the request in that process, and None when the supervisor is gone."""
    asked = b""
    ended_fd = _woken_by_ends()
    while True:
        ready = select.select([supervisor.fileno(), ended_fd], [], [])[0]
        if ended_fd in ready:
            os.read(ended_fd, 1 << 12)
        if supervisor.fileno() in ready:
            read = supervisor.recv(1 << 16)
            if not read:
                return None
            asked += read
        while b"\n" in asked:
            line, _, asked = asked.partition(b"\n")
            pid = os.fork()
            if pid == 0:
                _not_woken()
                os.close(ended_fd)
                return dict(json.loads(line))
            _lead_group(pid)
            _tell(supervisor, {"pid": pid})
        with contextlib.suppress(ChildProcessError):  # no forked process is left
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                _tell(supervisor, {"ended": ended[0], "code": os.waitstatus_to_exitcode(ended[1])})


def _woken_by_ends() -> int:
    """Return a file descriptor that becomes readable when a forked process ends."""
    readable, written = os.pipe()
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    return readable


def _not_woken() -> None:
    """Undo `_woken_by_ends` in a forked process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(signal.set_wakeup_fd(-1))


def _tell(supervisor: socket.socket, what: dict[str, int]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the supervisor is gone, which the next read shows
        supervisor.sendall(json.dumps(what).encode() + b"\n")


def _lead_group(pid: int) -> None:
    """Make the process lead a group of its own.

    The server and the forked process both call this function, because either may be the first that needs the group.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)


def _become(command: list[str], log: Path) -> None:
    """Run `[PYTHON, "-m", MODULE, …]` in this process, as that command would, with its output appended to `log`."""
    _lead_group(0)
    nothing, written = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for opened, standard in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(opened, standard)
    os.close(nothing)
    os.close(written)
    _show_as(command)
    _python, _option, module, *arguments = command
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _show_as(command: Sequence[str]) -> None:
    """Let `ps` show this command.

    This works only on Linux, where the process can find the location of its command line in memory; see proc(5).
    """
    stat = Path("/proc/self/stat")
    if not stat.exists():
        return
    fields = stat.read_text(errors="replace").rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[46])
    words = b"".join(os.fsencode(word) + b"\0" for word in command)
    if 0 < len(words) <= end - begin:
        ctypes.memmove(begin, words.ljust(end - begin, b"\0"), end - begin)


if __name__ == "__main__":
    main(sys.argv[1:])
