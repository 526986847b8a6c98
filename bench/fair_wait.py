"""Measure how much longer an interactive image takes while a bulk job of 100,000 frames is running.

    python -m bench.fair_wait [--frames 100000] [--images 20] [--slots 8] [--service-time 1] [--workers 4]

The times are the ledger's own, from acceptance to the end of the job. The same number of images is segmented first on
an idle system, and then next to the bulk job. They are segmented one after another, each after a pause of a different
length, so that they arrive in different phases of the slots. The added wait of an image is its time next to the bulk
job minus the median on the idle system. The bulk job refers to a few uploads many times. Its slots are always full, as
the endpoint's own busy time shows.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.bulk import begin_bulk
from bench.endpoint import running_endpoint
from bench.figures import median, print_head, print_table, spread
from bench.measured import grown
from bench.service import running_service
from bench.sources import PROMPTS, make_sources
from maskrelay.client import Client

_WARM = 3
#: The number of different files in the bulk job.
_FILES = 64
_START_S = 20.0
_GOAL_S = 1.5
_SHOWN = {
    "accepted to ended": ("total",),
    "of it, planning": ("planning",),
    "of it, until it is claimed": ("queue",),
    "of it, claimed to scored and stored": ("workers", "endpoint", "storage"),
}


@dataclass(frozen=True, slots=True)
class Waits:
    """For each image, the seconds of each stage in the ledger's record, named as in `maskrelay.rules.timings`."""

    idle: Sequence[dict[str, float]]
    beside: Sequence[dict[str, float]]
    busy_share: float
    bulk_planned: int
    bulk_done: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fair_wait", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--frames", type=int, default=100_000, help="of the bulk job")
    add("--images", type=int, default=20)
    add("--slots", type=int, default=8)
    add("--service-time", type=float, default=1.0, help="seconds an image")
    add("--workers", type=int, default=4, help="segment worker processes")
    asked = parser.parse_args()
    what = f"{asked.frames} bulk frames before {asked.slots} slots of {asked.service_time:g} s, {asked.workers} workers"
    print_head(f"Added wait of an interactive image: {what}", asked.images)
    report(_run(asked))


def _run(asked: argparse.Namespace) -> Waits:
    switches = {"service_time": asked.service_time, "max_concurrent": asked.slots}
    settings = {"endpoint_max_in_flight": asked.slots, "endpoint_max_bytes_per_s": 1e9, "max_items": asked.frames}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        running_endpoint(**switches) as endpoint,
        running_service(endpoint, Path(folder) / "data", segments=asked.workers, **settings) as service,
        service.client() as client,
    ):
        files = make_sources(Path(folder) / "sources", max(_FILES, _WARM + asked.images))
        idle = [_one(client, path) for path in files[: _WARM + asked.images]][_WARM:]
        bulk = begin_bulk(service, files, asked.frames)
        time.sleep(_START_S)
        before = endpoint.counters()
        beside = [_one(client, path) for path in files[: asked.images]]
        counted = grown(before, endpoint.counters())
        frames = client.job(bulk).frames
        if not frames.waiting:
            raise SystemExit("the bulk job ended meanwhile")
        share = counted["busy_seconds"] / counted["capacity_seconds"]
        return Waits(idle, beside, share, frames.planned, frames.succeeded)


def _one(client: Client, path: Path) -> dict[str, float]:
    time.sleep(random.uniform(0.5, 1.5))
    job = client.wait(client.submit([path], PROMPTS[:1], outputs=["mask"], wait_s=60).id)
    if job.state != "succeeded":
        raise SystemExit(f"an interactive job is {job.state}")
    return job.timings


def report(waits: Waits) -> None:
    alone = median([one["total"] for one in waits.idle])
    added = [one["total"] - alone for one in waits.beside]
    verdict = "reached" if median(added) < _GOAL_S else "missed"
    rows = [[f"**added**; the goal, a median under {_GOAL_S:g}, is {verdict}", spread(added, 3)]]
    for meaning, stages in _SHOWN.items():
        for where, runs in (("idle", waits.idle), ("beside bulk", waits.beside)):
            rows.append([f"{where}: {meaning}", spread([sum(one[stage] for stage in stages) for one in runs], 3)])
    print_table(["seconds, by the ledger's record", "median (least to most)"], rows)
    print(f"Meanwhile {100 * waits.busy_share:.1f} % of the endpoint's time was busy.")
    print(f"Of the bulk job {waits.bulk_planned} frames were planned and {waits.bulk_done} done.")


if __name__ == "__main__":
    main()
