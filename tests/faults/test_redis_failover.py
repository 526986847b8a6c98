"""A Redis watched by a Sentinel: its master dies, the replica takes over, and every process follows by itself."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger import Ledger, open_ledger
from maskrelay.ledger.broker import Publisher, broker
from maskrelay.stack.loopback import free_port
from maskrelay.stack.valkey import server
from tests.support.drivers.ledger_jobs import CREATED

ROOT = Path(__file__).parent.parent.parent
MINUTE = timedelta(minutes=1)
JOB = "a" * 26


@dataclass(frozen=True)
class Watched:
    """A master with a replica, and the URL under which the Sentinel finds whichever leads."""

    url: str
    master: "subprocess.Popen[bytes]"

    def ledger(self) -> Ledger:
        publisher = Publisher(broker(self.url, visibility_timeout=10 * MINUTE))
        return open_ledger(self.url, publisher, claim_lease=MINUTE, step_lease=MINUTE, delivery_lease=MINUTE)


@contextmanager
def running(*command: str) -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def await_that(true: Callable[[], bool], seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while True:
        with suppress(LedgerUnavailable, redis.RedisError, OSError):
            if true():
                return
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    binary, (first, second, sentinel) = str(server()), (free_port() for _ in range(3))
    conf = tmp_path / "sentinel.conf"
    conf.write_text(
        f"port {sentinel}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor ours 127.0.0.1 {first} 1\n"
        "sentinel down-after-milliseconds ours 2000\nsentinel failover-timeout ours 6000\n"
    )
    common = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0")
    master_folder, replica_folder = tmp_path / "master", tmp_path / "replica"
    for folder in (master_folder, replica_folder):
        folder.mkdir()
    with ExitStack() as children:
        master = children.enter_context(running(binary, "--port", str(first), "--dir", str(master_folder), *common))
        follow = ("--port", str(second), "--dir", str(replica_folder), "--replicaof", "127.0.0.1", str(first))
        children.enter_context(running(binary, *follow, *common))
        children.enter_context(running(binary, str(conf), "--sentinel"))
        asked = children.enter_context(redis.Redis("127.0.0.1", sentinel))
        await_that(lambda: asked.sentinel_master("ours")["num-slaves"] == 1)
        replica = children.enter_context(redis.Redis("127.0.0.1", second))
        await_that(lambda: replica.info("replication")["master_link_status"] == "up")
        yield Watched(f"redis+sentinel://127.0.0.1:{sentinel}/ours/0", master)


def test_ledger_and_worker_follow_the_master_that_the_sentinel_names(watched: Watched, tmp_path: Path):
    ledger = watched.ledger()
    assert ledger.jobs.create(JOB, "north", "interactive", 1, CREATED)
    assert ledger.scripts.ask("WAIT", 1, 5000) == 1  # the replica has it
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")} | {
        "MASKRELAY_REDIS_URL": watched.url,
        "MASKRELAY_STORAGE_URL": tmp_path.as_uri(),
        "MASKRELAY_SERVER_KEY": "k" * 32,
        "MASKRELAY_HEARTBEAT_FILE": str(tmp_path / "heartbeat"),
    }
    log = tmp_path / "log"
    with log.open("wb") as written:
        command = [sys.executable, "-m", "worker", "deliver"]
        worker = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=written)
    try:
        await_that((tmp_path / "heartbeat").exists)
        watched.master.kill()
        watched.master.wait()
        await_that(lambda: ledger.jobs.get(JOB) is not None)
        await_that(lambda: ledger.wake_ups.wake("deliver"))
        await_that(lambda: b"Task deliver" in log.read_bytes() and b"succeeded" in log.read_bytes())
        assert worker.poll() is None
    finally:
        worker.kill()
        worker.wait()
