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
    """A server on a free loopback port. Unless it persists, its data are lost when it ends."""

    def __init__(self, folder: Path, *, persist: bool, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis.from_url(self.url, socket_timeout=30)
        self._persist = persist
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server. Return when it responds and has loaded its file."""
        binary = os.environ.get("TEST_REDIS_SERVER") or os.fspath(server())
        places = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", os.fspath(self.folder)]
        if "--cluster-enabled" in self._options:
            places += ["--cluster-port", str(free_port())]  # by default the port above plus 10,000, which may be in use
        durable = ["--appendonly", "yes" if self._persist else "no", "--appendfsync", "everysec", "--save", ""]
        log = self.folder / "valkey.log"
        with log.open("wb") as stdout:
            self._process = subprocess.Popen([binary, *places, *durable, *self._options], stdout=stdout)
        ends = time.monotonic() + 15
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > ends:
                said = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{binary} does not answer; it ended with {self._process.poll()}: {said}")
            time.sleep(0.01)

    def kill(self) -> None:
        """Send SIGKILL. Return when the server is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop the server from responding, with its connections open, until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill the server and start it again on the same port and folder."""
        self.kill()
        self.start()

    def ledger(self, *, lease: timedelta = timedelta(seconds=60), sent: list[str] | None = None) -> Ledger:
        """Return a ledger on this server, in which every lease is `lease`. Wake-ups are appended to `sent`."""
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
    """Run the server that TEST_REDIS_SERVER names, otherwise one on the PATH, otherwise that of the Python package.

    It ends with the block, even after an error. With `persist`, an append-only file in `data_dir` (by default in a
    temporary folder) keeps everything. `options` are further options of its command line.
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
