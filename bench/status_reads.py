"""The time to read the status of a job, among many live jobs and for one very large job.

    python -m bench.status_reads [--jobs 10000] [--frames 1000000] [--parts 500000] [--reads 2000]

A separate API process uses a separate server and a folder of files. One caller requests one running job after another
on one connection, so the figures are those of single requests, including the caller's own time. The records of all jobs
are in the ledger, and the objects of the requested jobs are in the folder. The large job has items of two frames, and
its outcome parts are listed.
"""

import argparse
import http.client
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

from bench.figures import median, print_head, print_table
from bench.script_cost import TENANT, Bench
from bench.sweep_pause import store_submission
from maskrelay.stack.loopback import free_port
from maskrelay.storage.file_store import FileStorage
from tests.support.servers.apis import SERVER_KEY, write_keys
from tests.support.servers.valkeys import RunningValkey, running_valkey

#: The number of jobs that are requested in turn.
_ASKED = 200


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.status_reads", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--parts", type=int, default=500_000)
    parser.add_argument("--reads", type=int, default=2000)
    asked = parser.parse_args()
    print_head("Status reads", 1)
    with served() as (bench, root, connection):
        jobs = [bench.running(100, 100) for _ in range(asked.jobs)]
        many = _row(FileStorage(root), connection, jobs[:: max(1, len(jobs) // _ASKED)], asked.reads)
    with served() as (bench, root, connection):
        job = bench.running(asked.frames, 1000, spans=2)
        bench.list_parts(job, asked.parts)
        large = _row(FileStorage(root), connection, [job], asked.reads)
    rows = [[f"one of {asked.jobs:,} live jobs", *many], [f"one job of {asked.frames:,} frames", *large]]
    print_table(["status of", "median, ms", "p99, ms", "longest, ms", "reads"], rows)


def _row(
    store: FileStorage, connection: http.client.HTTPConnection, jobs: Sequence[str], reads: int
) -> tuple[str, str, str, str]:
    """Request these jobs in turn, `reads` times in total."""
    connection.close()  # the API may have closed it while the ledger was filled; the next request opens another one
    for job in jobs:
        store_submission(store, job, TENANT)
        _read(connection, job)
    took = sorted(_read(connection, job) for job in islice(cycle(jobs), reads))
    p99 = took[math.ceil(0.99 * len(took)) - 1]
    return f"{median(took):.1f}", f"{p99:.1f}", f"{took[-1]:.1f}", f"{len(took):,}"


def _read(connection: http.client.HTTPConnection, job: str) -> float:
    """Return the milliseconds from the request to its complete response."""
    began = time.perf_counter()
    connection.request("GET", f"/v1/jobs/{job}", headers={"authorization": "Bearer reader"})
    answer = connection.getresponse()
    shown = answer.read()
    took = (time.perf_counter() - began) * 1000
    assert (answer.status, json.loads(shown)["state"]) == (200, "running"), shown
    return took


@contextmanager
def served() -> Iterator[tuple[Bench, Path, http.client.HTTPConnection]]:
    """Yield a ledger to fill, the folder of its store, and a connection to an API that uses both."""
    with tempfile.TemporaryDirectory() as folder, running_valkey() as valkey:
        root, port = Path(folder) / "objects", free_port()
        root.mkdir()
        process = _start(valkey, Path(folder), port)
        try:
            yield Bench(valkey), root, _connected(port, process)
        finally:
            process.terminate()
            process.wait(60)


def _start(valkey: RunningValkey, folder: Path, port: int) -> "subprocess.Popen[bytes]":
    write_keys(folder / "keys.json", {"reader": (TENANT, ["read"])})
    own = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")}
    own |= {"MASKRELAY_REDIS_URL": valkey.url, "MASKRELAY_STORAGE_URL": (folder / "objects").as_uri()}
    own |= {"MASKRELAY_SERVER_KEY": SERVER_KEY, "MASKRELAY_KEYS_FILE": str(folder / "keys.json")}
    return subprocess.Popen([sys.executable, "-m", "api", "--host", "127.0.0.1", "--port", str(port)], env=own)


def _connected(port: int, process: "subprocess.Popen[bytes]") -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while process.poll() is None:
        try:
            connection.connect()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return connection
    raise RuntimeError(f"the API ended with {process.returncode}")


if __name__ == "__main__":
    main()
