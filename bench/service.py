"""The service for a benchmark: the embedded stack with the benchmark's endpoint and a given number of workers."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.endpoint import RunningEndpoint
from maskrelay.client import Client
from maskrelay.stack.loopback import free_port
from maskrelay.stack.running import EmbeddedStack, running
from maskrelay.stack.stack_processes import SHORT_CLOCKS
from maskrelay.stack.supervisor import Ending


@dataclass(frozen=True, slots=True)
class RunningService:
    """The running service. `processes` are valkey, api, segment, segment-2 …, control and
    deliver, with their descendants.
    """

    url: str
    api_key: str
    data: Path
    processes: Mapping[str, int]
    redis_url: str

    def client(self) -> Client:
        return Client(self.url, self.api_key)


@contextlib.contextmanager
def running_service(
    endpoint: RunningEndpoint, data: Path, *, segments: int = 1, **settings: object
) -> Iterator[RunningService]:
    """Run the service with the folder `data` and the endpoint `endpoint`, until the block ends.

    `hands=12` becomes MASKRELAY_HANDS=12, and None removes a variable.
    """
    given = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")} | SHORT_CLOCKS
    wanted = {"endpoint_url": endpoint.url, "endpoint_key": endpoint.key, **settings}
    given |= {f"MASKRELAY_{name.upper()}": str(value) for name, value in wanted.items() if value is not None}
    ending = Ending()
    with running(given, data, free_port(), say=_say, ending=ending) as stack:
        processes = {name: pid for name, pid in stack.supervisor.processes.items() if name != "simulator"}
        names = [f"segment-{number}" for number in range(2, segments + 1)]
        with _segment_workers(names, stack) as more:
            processes |= more
            redis_url = stack.layout.environment["MASKRELAY_REDIS_URL"]
            yield RunningService(stack.layout.url, stack.layout.api_key or "", stack.data, processes, redis_url)


@contextlib.contextmanager
def _segment_workers(names: Sequence[str], stack: EmbeddedStack) -> Iterator[dict[str, int]]:
    started = {name: _segment_worker(stack.layout.environment, stack.data / name, stack.logs) for name in names}
    try:
        yield {name: process.pid for name, process in started.items()}
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            process.wait(60)


def _segment_worker(environment: Mapping[str, str], folder: Path, logs: Path) -> "subprocess.Popen[bytes]":
    """Start a worker as if on a separate machine: as a process group with a private folder for
    its copies of sources.
    """
    folder.mkdir()
    with (logs / f"{folder.name}.log").open("wb") as written:
        return subprocess.Popen(
            [sys.executable, "-m", "worker", "segment"],
            env={**environment, "TMPDIR": str(folder)},
            stdout=written,
            stderr=written,
            process_group=0,
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr)
