"""A real Valkey or Redis as a child process, for every test that needs a ledger."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import redis

from maskrelay.ledger import Ledger, open_ledger
from maskrelay.stack.loopback import free_port
from maskrelay.stack.valkey import server


class RunningValkey:
    """A server on a free loopback port. It forgets everything at its end unless it persists."""

    def __init__(self, folder: Path, *, persist: bool, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis.from_url(self.url, socket_timeout=30)
        self._persist = persist
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns when it answers, its file read in."""
        binary = os.environ.get("TEST_REDIS_SERVER") or os.fspath(server())
        places = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", os.fspath(self.folder)]
        durable = ["--appendonly", "yes" if self._persist else "no", "--appendfsync", "everysec", "--save", ""]
        self._process = subprocess.Popen([binary, *places, *durable, *self._options], stdout=subprocess.DEVNULL)
        ends = time.monotonic() + 15
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"{binary} does not answer; it ended with {self._process.poll()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it answer nothing, its connections open, until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill it and start it again on the same port and folder."""
        self.kill()
        self.start()

    def ledger(self, *, lease: timedelta = timedelta(seconds=60), sent: list[str] | None = None) -> Ledger:
        """A ledger over this server; every lease of it is `lease`. Wake-ups are appended to `sent`."""
        publish = (sent if sent is not None else []).append
        return open_ledger(self.url, publish, claim_lease=lease, step_lease=lease, delivery_lease=lease)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


@contextmanager
def running_valkey(
    *, persist: bool = False, data_dir: Path | None = None, options: Sequence[str] = ()
) -> Iterator[RunningValkey]:
    """The server that TEST_REDIS_SERVER names, else one of the PATH, else the wheel's; ended whatever happens.

    persist: an append-only file in `data_dir` (else in a folder that goes at the end) brings everything back.
    options: more of its command line.
    """
    folder = data_dir or Path(tempfile.mkdtemp(prefix="valkey-"))
    running = RunningValkey(folder, persist=persist, options=options)
    try:
        running.start()
        yield running
    finally:
        running.kill()
        running.client.close()
        if data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
