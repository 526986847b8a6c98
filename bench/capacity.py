"""Measure how much of an endpoint's capacity the service uses, as a share of its busy time or of its bandwidth.

    python -m bench.capacity [--runs 3] [--window 40] [--service-time 1] [--bandwidth 5e6 | --byte-limit 5e6]
        [--workers 4]

One large job always has waiting frames. The measurement starts ten seconds after the first score and lasts
`--window` seconds. The figures are differences of the endpoint's own counters, which include the elapsed part of
a score in progress.

The output also shows three values of the whole run: the most pending requests at the gateway, the refusals, and the
most bytes in any ten seconds. The gateway refuses requests if more than twice as many as the slots are pending.
`--byte-limit` is the service's own limit for an endpoint that allows more, so that the endpoint's counters show whether
the service respects it.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cpus import cpu_seconds
from bench.endpoint import RunningEndpoint, running_endpoint
from bench.figures import print_head, print_table, spread
from bench.measured import WORKERS, grown
from bench.service import RunningService, running_service
from bench.sources import PROMPTS, make_sources
from maskrelay.client import Client

_START_S, _FIRST_SCORE_S = 10.0, 60.0
#: The number of different files. The job refers to each of them several times.
_FILES = 64
#: The bytes of an image with one prompt on the wire, in both directions together. This only determines the
#: number of images.
_BYTES = 2.2e6


@dataclass(frozen=True, slots=True)
class Window:
    """The increase of the endpoint's counters and of the processes' CPU seconds, and the counters at the end."""

    counted: dict[str, float]
    cpu: dict[str, float]
    last: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--runs", type=int, default=3)
    add("--window", type=float, default=40, help="seconds; the figures that count take 120")
    add("--slots", type=int, default=8)
    add("--service-time", type=float, default=1.0, help="seconds an image")
    add("--bandwidth", type=float, help="bytes a second over which the endpoint delays; our limit is the same")
    add("--byte-limit", type=float, help="our limit in bytes a second, of which the endpoint knows nothing")
    add("--workers", type=int, default=4, help="segment worker processes")
    add("--in-flight", type=int, help="our hard cap; by default twice the slots: as many again wait at the gateway")
    asked = parser.parse_args()
    ceiling = asked.bandwidth or asked.byte_limit
    capped = f", {'capped' if asked.bandwidth else 'held'} at {ceiling / 1e6:g} MB/s" if ceiling else ""
    print_head(
        f"Capacity: {asked.slots} slots of {asked.service_time:g} s{capped}, {asked.workers} workers", asked.runs
    )
    report([_run(asked, ceiling) for _ in range(asked.runs)], ceiling)


def _run(asked: argparse.Namespace, ceiling: float | None) -> Window:
    pace = asked.slots / asked.service_time
    if ceiling:
        pace = min(pace, ceiling / _BYTES)
    pictures = round(pace * (_START_S + asked.window) * 1.3) + 4 * asked.slots
    switches = {"service_time": asked.service_time, "max_concurrent": asked.slots, "bandwidth": asked.bandwidth}
    settings = {
        "endpoint_max_in_flight": asked.in_flight or 2 * asked.slots,
        "endpoint_max_bytes_per_s": ceiling or 1e9,
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, running_endpoint(**switches) as endpoint:
        data = Path(folder) / "data"
        with running_service(endpoint, data, segments=asked.workers, max_items=100_000, **settings) as service:
            _submit(service, make_sources(Path(folder) / "sources", _FILES), pictures)
            return _watch(service, endpoint, asked.window)


def _submit(service: RunningService, files: list[Path], pictures: int) -> None:
    """Submit one bulk job of this many images."""
    repeated = [files[number % len(files)] for number in range(pictures)]
    with Client(service.url, service.api_key) as client:
        client.submit(repeated, PROMPTS[:1], outputs=["mask"], lane="bulk")


def _watch(service: RunningService, endpoint: RunningEndpoint, window: float) -> Window:
    ends = time.monotonic() + _FIRST_SCORE_S
    while not endpoint.counters()["scores"]:
        if time.monotonic() > ends:
            raise SystemExit("nothing was scored")
        time.sleep(0.05)
    time.sleep(_START_S)
    counters, cpu = endpoint.counters(), _cpu(service, endpoint)
    time.sleep(window)
    last, spent = endpoint.counters(), _cpu(service, endpoint)
    with Client(service.url, service.api_key) as client:
        waiting = sum(job.frames.waiting for job in client.jobs())
    if not waiting:
        raise SystemExit("the job ended within the window; its last pictures left slots empty")
    return Window(grown(counters, last), {name: spent[name] - cpu[name] for name in cpu}, last)


def _cpu(service: RunningService, endpoint: RunningEndpoint) -> dict[str, float]:
    processes = {**service.processes, "(the endpoint)": endpoint.pid}
    return {name: cpu_seconds(pid) for name, pid in processes.items()}


def report(windows: list[Window], ceiling: float | None) -> None:
    scored = [one.counted["scores"] for one in windows]
    busy = [100 * one.counted["busy_seconds"] / one.counted["capacity_seconds"] for one in windows]
    passed = [(one.counted["bytes_in"] + one.counted["bytes_out"]) / one.counted["clock"] for one in windows]
    rows = [["busy time, % of capacity", spread(busy, 2)]]
    if ceiling:
        rows.append(["bytes, % of the ceiling", spread([100 * one / ceiling for one in passed], 2)])
    rows += [
        ["bytes/s, millions, up and down", spread([one / 1e6 for one in passed], 2)],
        ["images/s", spread([one.counted["scores"] / one.counted["clock"] for one in windows], 2)],
        ["most pending (refused from twice the slots on)", spread([one.last["max_pending"] for one in windows], 0)],
        [
            "most bytes/s in any ten seconds, millions",
            spread([one.last["max_bytes_per_s"] / 1e6 for one in windows], 2),
        ],
        ["refused, whole run", ", ".join(str(dict(one.last["refused"])) for one in windows)],
    ]
    workers = [sum(one.cpu[name] for name in one.cpu if name.startswith(WORKERS)) for one in windows]
    split = {"all worker processes": workers} | {name: [one.cpu[name] for one in windows] for name in windows[0].cpu}
    for name, cpu in split.items():
        each = [seconds * 1000 / images for seconds, images in zip(cpu, scored, strict=True)]
        rows.append([f"CPU ms/image, {name}", spread(each)])
    print_table(["", "figure"], rows)


if __name__ == "__main__":
    main()
