"""The supervisor's side of the fork server: start the server, fork processes, and detect the end of each of them."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from maskrelay.errors import StackError

#: The seconds that the server may take to import its modules and to fork.
_PATIENCE_S = 240.0
_ATTEMPTS = 3
_LAST_BYTES = 2000
#: The exit code that is reported for a process whose server died, because the real one can no longer be known.
_UNKNOWN_END = -signal.SIGKILL


class ForkServer:
    """A fork server. It is started for the first fork, and started again for the next fork after it has died.

    When the server dies, all its processes count as ended, because their exit codes can no longer be known. The
    supervisor then kills what is left of them and starts them again. `modules` are imported before the first fork.
    """

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._modules = modules
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._read = b""
        self._forked = 0
        self._codes: dict[int, int] = {}
        self._running: set[int] = set()

    @property
    def pid(self) -> int | None:
        """The process id of the server, which leads a process group, or None while there is no server."""
        return None if self._process is None else self._process.pid

    def fork(self, command: Sequence[str], log: Path) -> "ForkedProcess":
        """Fork a process that runs `[PYTHON, "-m", MODULE, …]`, with its output appended to `log`.

        Raises StackError if the server does not start.
        """
        log.touch()
        line = json.dumps({"command": list(command), "log": str(log)}).encode() + b"\n"
        for _ in range(_ATTEMPTS):
            server = self._socket or self._start()
            self._forked = 0
            with contextlib.suppress(OSError):  # the server died, which the next read shows
                server.sendall(line)
            deadline = time.monotonic() + _PATIENCE_S
            while self._socket is not None and not self._forked and time.monotonic() < deadline:
                self._listen(1.0)
            if self._forked:
                return ForkedProcess(self, self._forked)
            if self._socket is not None:
                break
        self.close()
        said = self._log.read_bytes()[-_LAST_BYTES:].decode(errors="replace")
        raise StackError(f"the fork server does not start:\n{said}")

    def code(self, pid: int) -> int | None:
        """Return the exit code of a forked process, or None while it runs."""
        if self._socket is not None:
            self._listen(0)
        return self._codes.get(pid)

    def close(self) -> None:
        """End the server. Its processes, which should have ended before, count as ended."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._codes.update(dict.fromkeys(self._running, _UNKNOWN_END))
        self._running.clear()

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs, self._log.open("ab") as written:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "maskrelay.stack.fork_server", *self._modules],
                stdin=theirs.fileno(),
                stdout=written,
                stderr=written,
                env=dict(self._environment),
                process_group=0,
            )
        self._socket, self._read = ours, b""
        return ours

    def _listen(self, seconds: float) -> None:
        """Read the messages that the server sends within this time. If the server is gone, call `close`."""
        assert self._socket is not None
        while self._socket is not None and select.select([self._socket], [], [], seconds)[0]:
            read = b""
            with contextlib.suppress(ConnectionError):
                read = self._socket.recv(1 << 16)
            if not read:
                self.close()
                return
            *lines, self._read = (self._read + read).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
            seconds = 0

    def _take(self, said: dict[str, int]) -> None:
        if "pid" in said:
            self._forked = said["pid"]
            self._running.add(said["pid"])
            self._codes.pop(said["pid"], None)  # an earlier process may have had the same number
        else:
            self._codes[said["ended"]] = said["code"]
            self._running.discard(said["ended"])


class ForkedProcess:
    """A process of the fork server, to be used as a `subprocess.Popen`."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self._server = server
        self.pid = pid

    def poll(self) -> int | None:
        return self._server.code(self.pid)

    def wait(self) -> int:
        while (code := self.poll()) is None:
            time.sleep(0.01)
        return code

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
