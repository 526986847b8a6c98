"""Runs from manifests: the time and the memory to accept and plan very many lines, and the cost of each frame.

    python -m bench.runs [--lines 1000000] [--planning 120] [--frames 100000]

First, a manifest of `--lines` lines is submitted. The service reads all lines and then plans them; after `--planning`
seconds of planning, or when it is complete, the job is cancelled. Then a manifest of `--frames` lines is run to its
end, with an endpoint that answers at once. All lines of both name the same picture, which is read again for each line,
because reuse is refused. The peak memory of each process with its children is sampled twice per second.
"""

import argparse
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import redis

from bench.cpus import cpu_seconds
from bench.endpoint import running_endpoint
from bench.figures import print_head, print_table
from bench.service import RunningService, running_service
from maskrelay.contract.records.job import TERMINAL
from maskrelay.contract.views.job_views import JobShown
from tests.support.builders.pictures import gradient, saved

PROMPT = "optic disc in retinal fundus"
_SAMPLE_S = 0.5
_OPTIONS = {"reuse": False, "outputs": ["mask"]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.runs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--planning", type=float, default=120.0, help="seconds after which planning is cancelled")
    parser.add_argument("--frames", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-runs-") as folder, running_endpoint(max_concurrent=64) as endpoint:
        data, store = Path(folder) / "data", Path(folder) / "store"
        data.mkdir()
        (data / "picture.png").write_bytes(saved(gradient(64, 64), "PNG"))
        credentials = Path(folder) / "credentials.json"
        more = {"endpoint_max_in_flight": 16, "endpoint_max_bytes_per_s": 1e9, "tenant_frames": 2_000_000}
        credentials.write_text(
            json.dumps([{"name": "disk", "kind": "file", "reads": {"local": [f"{data.as_uri()}/"]}}])
        )
        with running_service(endpoint, store, credentials_file=credentials, **more) as service:
            if asked.lines:
                _cancelled(service, data, asked.lines, asked.planning)
            if asked.frames:
                _ended(service, data, asked.frames)


def _manifest(data: Path, lines: int) -> str:
    path, source = data / f"{lines}.ndjson", (data / "picture.png").as_uri()
    with path.open("w") as file:
        file.writelines(f'{{"source": "{source}", "custom_id": "image {number}"}}\n' for number in range(lines))
    return path.as_uri()


def _cancelled(service: RunningService, data: Path, lines: int, planning: float) -> None:
    url = _manifest(data, lines)
    with service.client() as client, _watched(service) as peaks:
        began = time.monotonic()
        job = client.run(url, PROMPT, options=_OPTIONS).id
        accepted = time.monotonic() - began
        read = _until(client.job, job, lambda shown: shown.rejected is not None)
        peaks.note("read")
        shown = _until(client.job, job, lambda shown: shown.planned, within=planning)
        planned = time.monotonic() - began
        peaks.note("planned")
        client.cancel(job)
        ended = _until(client.job, job, lambda shown: shown.state in TERMINAL)
        peaks.note("cancelled")
        over = time.monotonic() - began
    print_head(f"A manifest of {lines:,} lines, read, planned and cancelled", 1)
    print_table(
        ["accepted, s", "read, s", "planned frames", "until, s", "cancelled, s", "state"],
        [
            [
                f"{accepted:.2f}",
                f"{read[1] - began:.0f}",
                f"{shown[0].frames.planned:,}",
                f"{planned:.0f}",
                f"{over:.0f}",
                ended[0].state,
            ]
        ],
    )
    peaks.report()


def _ended(service: RunningService, data: Path, frames: int) -> None:
    url = _manifest(data, frames)
    before = {name: cpu_seconds(pid) for name, pid in service.processes.items()}
    objects, memory = _objects(service.data), _redis_bytes(service)
    most = memory
    with service.client() as client, _watched(service) as peaks:
        began = time.monotonic()
        job = client.run(url, PROMPT, options=_OPTIONS).id
        while True:
            shown = client.job(job)
            most = max(most, _redis_bytes(service))
            if shown.state in TERMINAL:
                break
            time.sleep(2)
        took = time.monotonic() - began
        peaks.note("ended")
    spent = {name: (cpu_seconds(pid) - before[name]) * 1000 / frames for name, pid in service.processes.items()}
    print_head(f"A manifest of {frames:,} frames, run to its end", 1)
    print_table(
        ["state", "succeeded", "seconds", "frames/s", "objects/frame", "Redis, bytes/frame"],
        [
            [
                shown.state,
                f"{shown.frames.succeeded:,}",
                f"{took:.0f}",
                f"{frames / took:.0f}",
                f"{(_objects(service.data) - objects) / frames:.2f}",
                f"{(most - memory) / frames:.1f}",
            ]
        ],
    )
    print_table(["process", "CPU, ms/frame"], [[name, f"{value:.2f}"] for name, value in spent.items()])
    peaks.report()


def _until(
    ask: Callable[[str], JobShown], job: str, check: Callable[[JobShown], bool], within: float = float("inf")
) -> tuple[JobShown, float]:
    """Return the job when the check holds, or after `within` seconds, and the time."""
    deadline = time.monotonic() + within
    while True:
        shown = ask(job)
        if check(shown) or shown.state in TERMINAL or time.monotonic() > deadline:
            return shown, time.monotonic()
        time.sleep(_SAMPLE_S)


class Peaks:
    """The largest memory of each process with its children, in each phase."""

    def __init__(self, processes: dict[str, int]) -> None:
        self._processes = processes
        self._most = dict.fromkeys(processes, 0)
        self._rows: dict[str, list[str]] = {name: [] for name in processes}
        self._phases: list[str] = []

    def sample(self) -> None:
        for name, pid in self._processes.items():
            self._most[name] = max(self._most[name], _memory(pid))

    def note(self, phase: str) -> None:
        """End a phase."""
        self._phases.append(phase)
        for name, most in self._most.items():
            self._rows[name].append(f"{most / 2**20:.0f}")
        self._most = dict.fromkeys(self._processes, 0)

    def report(self) -> None:
        head = ["process, peak MiB until", *self._phases]
        print_table(head, [[name, *row] for name, row in self._rows.items()])


@contextlib.contextmanager
def _watched(service: RunningService) -> Iterator[Peaks]:
    peaks, ended = Peaks(dict(service.processes)), threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_S):
            peaks.sample()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peaks
    finally:
        ended.set()
        watcher.join()


def _memory(pid: int) -> int:
    """Return the unshared memory of a process and its descendants, in bytes."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().uss
    return total


def _objects(store: Path) -> int:
    return sum(1 for path in store.rglob("*") if path.is_file())


def _redis_bytes(service: RunningService) -> int:
    with redis.Redis.from_url(service.redis_url) as client:
        info: Any = client.info("memory")
    return int(info["used_memory"])


if __name__ == "__main__":
    main()
