"""The contenders of a comparison. Each is a set of processes that starts once and then segments folders of images."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bench.cpus import cpu_seconds
from bench.endpoint import RunningEndpoint
from bench.peers.turns import Done
from bench.service import running_service


class Contender:
    """A contender that is ready.

    `pids` are its processes by name; processes that they have started are counted with them.
    """

    def __init__(self, teller: "subprocess.Popen[str]", pids: Mapping[str, int]) -> None:
        self._teller = teller
        self._pids = pids

    def work(self, files: Sequence[Path], out: Path) -> Done:
        """Segment the files, and write one PNG for each mask into `out`, which is created."""
        out.mkdir(parents=True)
        assert self._teller.stdin is not None
        self._teller.stdin.write(json.dumps({"files": [str(path) for path in files], "out": str(out)}) + "\n")
        self._teller.stdin.flush()
        return _heard(self._teller)

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds of each process so far."""
        return {name: cpu_seconds(pid) for name, pid in self._pids.items()}


Start = Callable[[RunningEndpoint, Sequence[str], Path], AbstractContextManager[Contender]]


@contextlib.contextmanager
def ours(
    endpoint: RunningEndpoint,
    prompts: Sequence[str],
    folder: Path,
    *,
    caller_module: str = "bench.client",
    callers: int = 1,
    segments: int = 1,
    **settings: object,
) -> Iterator[Contender]:
    """Start the whole service on its embedded stack, with `segments` segment workers and one process that calls it.

    `callers` are the calls that `bench.single_client` makes at a time.
    """
    with (
        running_service(endpoint, folder / "data", segments=segments, **settings) as service,
        _process(caller_module, [service.url, service.api_key, *prompts], {"BENCH_CALLERS": str(callers)}) as caller,
    ):
        yield Contender(caller, {**service.processes, "client": caller.pid})


def peer(module: str, **environment: str) -> Start:
    """Return the contender of `bench.peers` with this name."""

    @contextlib.contextmanager
    def start(endpoint: RunningEndpoint, prompts: Sequence[str], folder: Path) -> Iterator[Contender]:
        folder.mkdir(parents=True, exist_ok=True)
        with _process(f"bench.peers.{module}", [endpoint.url, endpoint.key, *prompts], environment) as process:
            yield Contender(process, {"all": process.pid})

    return start


PEERS: Mapping[str, Start] = {
    "article, one by one": peer("article"),
    "toolkit, 5 threads": peer("toolkit"),
    "5 threads, blind retries": peer("threads"),
    "textbook Celery, prefork 2": peer("textbook_celery", BENCH_CHILDREN="2"),
    "textbook Celery, prefork 8": peer("textbook_celery", BENCH_CHILDREN="8"),
}


@contextlib.contextmanager
def _process(
    module: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **_SINGLE_THREADED, **environment},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _heard(process)
        yield process
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


#: The contenders process several images at the same time, each in one thread, as the child processes of workers do.
_SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _heard(process: "subprocess.Popen[str]") -> Done:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a contender ended with {process.wait()}")
    return Done(**json.loads(line))
