"""Measure scaling with segment workers: frames per second with 1, 2 and 4 of them, and CPU time per frame by process.

    python -m bench.scale_out [--workers 1 2 4] [--service-time 1] [--seconds 20] [--runs 3] [--cpu]

Every segment worker is a process group with a folder of its own, as if it were on a separate machine. They share one
Redis, one S3 server (moto, one Python process) and one API. The endpoint has `--slots`, which is more than all workers
can fill. A worker has six bulk frames in progress, so its throughput depends on the service time of their scores. It
grows with the number of workers as long as there are enough cores.

With `--cpu`, scores take no time. Then the cores are the limit, which everything shares, and the question is whether
the CPU time per frame stays the same with more workers.

There is one bulk job for each measurement, which lasts from a fifth to four fifths of its scores. At the end, the
endpoint must have scored each frame once, and each frame must have its mask.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bulk import begin_bulk
from bench.cpus import cpu_seconds
from bench.endpoint import RunningEndpoint, running_endpoint
from bench.figures import median, print_head, print_table, spread
from bench.measured import grown
from bench.service import RunningService, running_service
from bench.sources import make_sources
from tests.support.servers.s3_servers import RunningS3, running_s3

#: The bulk frames that a worker with eight frames in all has in progress.
_IN_HAND = 6
#: The approximate throughput of two cores. It only determines the number of frames.
_MOST_PER_S = 50
_FILES = 16
_SKIPPED, _PATIENCE_S = 0.2, 240


@dataclass(frozen=True, slots=True)
class Span:
    """The increase between two readings: of the endpoint's counters, and of the CPU seconds of each process."""

    counted: Mapping[str, float]
    cpu: Mapping[str, float]

    @property
    def per_s(self) -> float:
        return self.counted["scores"] / self.counted["clock"]

    @property
    def under_way(self) -> float:
        """Return the mean number of concurrent scores at the endpoint."""
        return self.counted["busy_seconds"] / self.counted["clock"]

    @property
    def busy(self) -> float:
        """Return the share of all cores' time that these processes took, in percent."""
        return 100 * sum(self.cpu.values()) / self.counted["clock"] / (os.cpu_count() or 1)

    def milliseconds(self, *names: str) -> float:
        """Return the CPU time per frame of the processes whose names begin with one of `names`."""
        return sum(self.cpu[name] for name in self.cpu if name.startswith(names)) * 1000 / self.counted["scores"]


@dataclass(frozen=True, slots=True)
class Looked:
    """The endpoint's counters and the CPU seconds of all processes at one moment."""

    counters: Mapping[str, Any]
    cpu: Mapping[str, float]

    def until(self, later: "Looked") -> Span:
        return Span(
            grown(self.counters, later.counters), {name: later.cpu[name] - spent for name, spent in self.cpu.items()}
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale_out", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--workers", type=int, nargs="+", default=[1, 2, 4])
    add("--service-time", type=float, default=1.0, help="seconds a score")
    add("--slots", type=int, default=64, help="scores at a time, at the endpoint and by our limit")
    add("--seconds", type=float, default=20, help="about how long a measurement takes")
    add("--runs", type=int, default=3)
    add("--cpu", action="store_true", help="scores take no time")
    asked = parser.parse_args()
    service_time = 0.0 if asked.cpu else asked.service_time
    print_head(f"Scale-out: {asked.slots} slots, scores of {service_time:g} s, one Redis, one S3 server", asked.runs)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, running_s3() as s3:
        files = make_sources(Path(folder) / "sources", _FILES)
        spans: dict[int, list[Span]] = {workers: [] for workers in asked.workers}
        for run in range(asked.runs):
            for workers, measured in spans.items():
                frames = _frames(workers, service_time, asked.seconds)
                with running_endpoint(service_time=service_time, max_concurrent=asked.slots) as endpoint:
                    data = Path(folder) / f"data-{run}-{workers}"
                    span = scaled(endpoint, s3, data, files, workers=workers, slots=asked.slots, frames=frames)
                print(f"{workers} worker(s): {span.per_s:.1f} frames/s", file=sys.stderr)
                measured.append(span)
    report(spans)


def _frames(workers: int, service_time: float, seconds: float) -> int:
    pace = min(workers * _IN_HAND / service_time, _MOST_PER_S) if service_time else _MOST_PER_S
    return round(pace * seconds)


def scaled(
    endpoint: RunningEndpoint,
    s3: RunningS3,
    data: Path,
    files: Sequence[Path],
    *,
    workers: int,
    slots: int,
    frames: int,
) -> Span:
    settings = {
        "storage_url": f"{s3.storage_url}/{data.name}",  # an empty store, so that no lost slots are awaited
        "s3_endpoint_url": s3.endpoint_url,
        "endpoint_max_in_flight": slots,
        "endpoint_max_bytes_per_s": 1e9,
        "max_items": frames,
    }
    with running_service(endpoint, data, segments=workers, **settings) as service:
        processes = {**service.processes, "S3 server": s3.pid, "(the endpoint)": endpoint.pid}
        job = begin_bulk(service, files, frames)
        looks = [_look_at(endpoint, processes, round(frames * share)) for share in (_SKIPPED, 1 - _SKIPPED)]
        _check(service, endpoint, job, frames)
    return looks[0].until(looks[1])


def _look_at(endpoint: RunningEndpoint, processes: Mapping[str, int], scores: int) -> Looked:
    """Wait until this many scores have begun, and read the counters."""
    ends = time.monotonic() + _PATIENCE_S
    while (counters := endpoint.counters())["scores"] < scores:
        if time.monotonic() > ends:
            raise SystemExit(f"{counters['scores']} of {scores} scores after {_PATIENCE_S} s")
        time.sleep(0.05)
    return Looked(counters, {name: cpu_seconds(pid) for name, pid in processes.items()})


def _check(service: RunningService, endpoint: RunningEndpoint, job: str, frames: int) -> None:
    """Check that exactly as many rows were scored as there are frames, and that every frame has one mask of its own."""
    with service.client() as client:
        ended = client.wait(job)
        masks = [mask.links.mask for item in client.items(job) for mask in item.masks]
    rows = endpoint.counters()["rows"]
    if ended.state != "succeeded" or (ended.counts.succeeded, rows, len(set(masks)), len(masks)) != (frames,) * 4:
        said = f"{ended.counts.succeeded} succeeded, {rows} rows were scored, {len(set(masks))} masks are there"
        raise SystemExit(f"of {frames} frames {said}; the job is {ended.state}")


def report(spans: Mapping[int, Sequence[Span]]) -> None:
    alone = median([one.per_s for one in spans[min(spans)]])
    rows = [
        [
            str(workers),
            spread([one.per_s for one in measured]),
            f"{median([one.per_s for one in measured]) / alone:.2f}",
            spread([one.under_way / workers for one in measured], 2),
            spread([one.busy for one in measured], 0),
            spread([one.milliseconds("segment") for one in measured]),
            spread([one.milliseconds("") for one in measured]),
        ]
        for workers, measured in spans.items()
    ]
    head = ["workers", "frames/s", "times as many", "scores under way, a worker", "cores busy, %"]
    print_table([*head, "segment workers' CPU, ms/frame", "all processes' CPU, ms/frame"], rows)
    report_processes(spans)


def report_processes(spans: Mapping[int, Sequence[Span]]) -> None:
    names = [name for name in next(iter(spans.values()))[0].cpu if not name.startswith("segment-")]
    rows = [
        [name, *(spread([one.milliseconds(name) for one in measured]) for measured in spans.values())] for name in names
    ]
    print_table(["CPU, ms/frame", *(f"{workers} worker(s)" for workers in spans)], rows)


if __name__ == "__main__":
    main()
