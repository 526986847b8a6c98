"""What a job of one image costs through the whole service: flushes to the disk, and round trips to Redis.

The numbers are counted, not timed. They are upper bounds: whoever lowers a cost lowers the number here.
"""

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis

from maskrelay.ledger.scripts import texts
from tests.support.builders.pictures import gradient, saved
from tests.support.servers.simulators import eventually
from tests.support.servers.stacks import RunningStack, running_stack

PLUG = Path(__file__).parents[1] / "support" / "plugs" / "flushes"
#: Flushes of the submission's objects with its plan (2), of its entry in the audit log (2), and of the result (2).
FLUSHES_MOST = 6
#: What workers flush every few seconds for all jobs together.
SHARED = ("/senders", "/worker-")
#: Each command, script or transaction, without what consumers poll. If the segment loop has ended since the job before,
#: which happens on a busy machine, another one is woken and ends, at the cost of at most as many as in WAKING_MOST.
ROUND_TRIPS_MOST, WAKING_MOST = 10, 12
WAKING = {"LPUSH", "MULTI", "report_loop", "count_work", "wake", "PING", "HVALS", "INFO"}
#: What is asked again and again while a job or its score waits, with the number of times that a job needs it.
REPEATED = {"job_record": 1, "claim": 1, "gate_state": 0, "admit": 1, "BLPOP": 0}
#: What processes ask from time to time, also without any job, and how they connect.
PERIODIC = {
    *("BRPOP", "PUBLISH", "ZRANGE", "ZREVRANGEBYSCORE", "LLEN", "TIME", "HSET", "CLIENT", "SCRIPT", "AUTH", "HELLO"),
    *("report_slots", "sender_heard", "renew", "add_observations", "SUBSCRIBE", "EVAL", "EVALSHA"),
}


class Monitored:
    """The commands that Redis got, by client, beginning with the block."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)
        self._scripts = {hashlib.sha1(text.encode()).hexdigest(): name for name, text in texts().items()}
        self.commands: list[tuple[str, str]] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        with self.client.monitor() as monitor:
            thread = threading.Thread(target=self._read, args=(monitor,))
            thread.start()
            try:
                yield
            finally:
                self.client.echo("the end")
                thread.join()

    def _read(self, monitor: "redis.client.Monitor") -> None:
        inside = False
        for seen in monitor.listen():
            words = seen["command"].split()
            if words[0] == "ECHO":
                return
            if seen["client_type"] == "lua":
                continue
            if words[0] == "EXEC":
                inside = False
            elif not inside:
                name = self._scripts.get(words[1], words[0]) if words[0] == "EVALSHA" else words[0]
                self.commands.append((f"{seen['client_address']}:{seen['client_port']}", name))
            inside = inside or words[0] == "MULTI"


def connections_of_sweep(stack: RunningStack) -> set[str]:
    """Return the addresses from which the sweep is connected."""
    below = psutil.Process(stack.processes["control"]).children(recursive=True)
    sweeps = [process for process in below if "sweep" in process.cmdline()]
    return {f"{one.laddr.ip}:{one.laddr.port}" for sweep in sweeps for one in sweep.net_connections() if one.laddr}


@pytest.fixture(scope="module")
def flushes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flushes") / "lines"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, flushes: Path) -> Iterator[RunningStack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLUSHES", str(flushes))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(PLUG), os.environ.get("PYTHONPATH", "")]))
        # Under the default limit on bytes, jobs that follow each other fast wait, and their worker compares encodings.
        settings = {"sweep_period_s": 2, "endpoint_max_bytes_per_s": 1e9}
        with running_stack(tmp_path_factory.mktemp("stack"), **settings) as running:
            yield running


def test_a_job_of_one_image_costs_few_flushes_and_round_trips(
    stack: RunningStack, flushes: Path, tmp_path: Path
) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(saved(gradient(), "PNG"))
    monitored = Monitored(stack.valkey)
    with stack.client() as client:
        for _ in range(2):  # the first jobs start loops and make folders that stay
            assert client.submit([image], ["tumor"], outputs=["mask"], wait_s=60).state == "succeeded"
        assert eventually(lambda: not list((stack.data / "storage" / "live").iterdir()))
        flushes.write_bytes(b"")
        sweep = connections_of_sweep(stack)
        with monitored.watched():
            assert client.submit([image], ["tumor"], outputs=["mask"], wait_s=60).state == "succeeded"
            assert eventually(lambda: not list((stack.data / "storage" / "live").iterdir()))
    counted = [line for line in flushes.read_text().splitlines() if not any(other in line for other in SHARED)]
    assert len(counted) <= FLUSHES_MOST, counted
    sweep |= connections_of_sweep(stack)
    names = Counter(name for client, name in monitored.commands if client not in sweep and name not in PERIODIC)
    trips = {name: min(count, REPEATED.get(name, count)) for name, count in names.items()}
    waking = sum(count for name, count in trips.items() if name in WAKING)
    assert sum(trips.values()) - waking <= ROUND_TRIPS_MOST, str(trips)
    assert waking <= WAKING_MOST, str(trips)
    assert {"create", "claim", "admit", "settle", "conclude"} <= trips.keys()
