"""What uploading a picture costs the API: its CPU time, and how often it flushes to the disk.

    python -m bench.upload_cost [--pictures 200] [--bytes 150000] [--runs 3]

The Python client submits the pictures to a separate API process with a separate server and a folder of files: all as
one job, which uploads 100 files in each request, and then one job for each picture. The flushes of the audit log count
too.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cpus import cpu_seconds
from bench.figures import print_head, print_table, spread
from maskrelay.client import Client
from maskrelay.errors import ServiceUnreachable
from maskrelay.stack.loopback import free_port
from tests.support.servers.apis import ROOT, api_environment
from tests.support.servers.valkeys import running_valkey

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class CountedApi:
    """A running API process, and the file in which it counts its flushes."""

    url: str
    pid: int
    count: Path

    def flushes(self) -> int:
        return int.from_bytes(self.count.read_bytes(), "little")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.upload_cost", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--bytes", type=int, default=150_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    print_head("What an upload costs the API", asked.runs)
    pictures = [PNG + os.urandom(asked.bytes - len(PNG)) for _ in range(asked.pictures)]
    with running_api_process() as api, Client(api.url, "north") as client:
        client.submit(pictures[:40], "x", outputs=["mask"])
        ways = {"one job of all, 20 files a request": [pictures], "a job each": [[one] for one in pictures]}
        rows = [_row(what, api, client, jobs, asked.runs) for what, jobs in ways.items()]
    print_table([f"{asked.pictures} pictures of {asked.bytes:,} bytes", "CPU ms a picture", "flushes a picture"], rows)


def _row(what: str, api: CountedApi, client: Client, jobs: list[list[bytes]], runs: int) -> list[str]:
    pictures, spent, flushed = sum(map(len, jobs)), [], []
    for _ in range(runs):
        cpu, flushes = cpu_seconds(api.pid), api.flushes()
        for job in jobs:
            client.submit(job, "x", outputs=["mask"])
        spent.append((cpu_seconds(api.pid) - cpu) * 1000 / pictures)
        flushed.append((api.flushes() - flushes) / pictures)
    return [what, spread(spent, 2), spread(flushed, 2)]


@contextmanager
def running_api_process() -> Iterator[CountedApi]:
    """Run an API with its own server and folder until the block ends."""
    with tempfile.TemporaryDirectory() as folder, running_valkey() as valkey:
        count, port = Path(folder) / "flushes", free_port()
        count.write_bytes(bytes(8))
        command = [sys.executable, "-m", "bench.counted_api", str(count), "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=api_environment(Path(folder), valkey.url))
        try:
            api = CountedApi(f"http://127.0.0.1:{port}", process.pid, count)
            _await(lambda: Client(api.url, "north").jobs())
            yield api
        finally:
            process.terminate()
            process.wait(30)


def _await(ask: Callable[[], Iterator[object]]) -> None:
    while True:
        try:
            next(ask(), None)
        except ServiceUnreachable:
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    main()
