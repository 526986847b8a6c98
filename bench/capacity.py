"""Measure how much of an endpoint's capacity the service uses, as a share of its busy time or of its bandwidth.

    python -m bench.capacity [--runs 3] [--window 40] [--workers 1 2 4] [--service-time 1 0.25]
        [--in-flight 8] [--bandwidth 5e6 | --byte-limit 5e6]

Every number of workers is measured with every service time. One large job always has waiting frames. The measurement
starts ten seconds after the first score and lasts `--window` seconds. The figures are differences of the endpoint's own
counters, which include the elapsed part of a score in progress.

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
from bench.figures import median, print_head, print_table, spread
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
    add("--service-time", type=float, nargs="+", default=[1.0], help="seconds per image")
    add("--bandwidth", type=float, help="bytes a second over which the endpoint delays; our limit is the same")
    add("--byte-limit", type=float, help="our limit in bytes a second, of which the endpoint knows nothing")
    add("--workers", type=int, nargs="+", default=[4], help="segment worker processes")
    add("--in-flight", type=int, help="our hard cap; by default twice the slots: as many again wait at the gateway")
    options = parser.parse_args()
    limit = options.bandwidth or options.byte_limit
    by = "the endpoint" if options.bandwidth else "us"
    limited = f", limited by {by} to {limit / 1e6:g} MB/s" if limit else ""
    capped = f", at most {options.in_flight} in flight" if options.in_flight else ""
    title = f"Capacity of {options.slots} slots{limited}{capped}, {options.window:g} s"
    print_head(title, options.runs)
    rows = []
    for service_time in options.service_time:
        for workers in options.workers:
            windows = [_run(options, service_time, workers, limit) for _ in range(options.runs)]
            rows.append([f"{service_time:g} s", str(workers), *cells(windows, limit)])
    print_table(["time per image", "segment workers", *HEAD], rows)


def _run(options: argparse.Namespace, service_time: float, workers: int, limit: float | None) -> Window:
    pace = options.slots / service_time
    if limit:
        pace = min(pace, limit / _BYTES)
    images = round(pace * (_START_S + options.window) * 1.3) + 4 * options.slots
    switches = {"service_time": service_time, "max_concurrent": options.slots, "bandwidth": options.bandwidth}
    settings = {
        "endpoint_max_in_flight": options.in_flight or 2 * options.slots,
        "endpoint_max_bytes_per_s": limit or 1e9,
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, running_endpoint(**switches) as endpoint:
        data = Path(folder) / "data"
        with running_service(endpoint, data, segments=workers, max_items=100_000, **settings) as service:
            _submit(service, make_sources(Path(folder) / "sources", _FILES), images)
            return _watch(service, endpoint, options.window)


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
        raise SystemExit("the job ended within the window; its last images left slots empty")
    return Window(grown(counters, last), {name: spent[name] - cpu[name] for name in cpu}, last)


def _cpu(service: RunningService, endpoint: RunningEndpoint) -> dict[str, float]:
    processes = {**service.processes, "(the endpoint)": endpoint.pid}
    return {name: cpu_seconds(pid) for name, pid in processes.items()}


HEAD = [
    "busy time, % of capacity",
    "bytes, % of the limit",
    "images/s",
    "MB/s, both directions",
    "most MB/s in any 10 s",
    "most pending",
    "refused",
    "workers, CPU ms per image",
    "API, Valkey",
]


def cells(windows: list[Window], limit: float | None) -> list[str]:
    """Return the row of one configuration below `HEAD`. `refused` is the total of all runs."""
    moved = [(one.counted["bytes_in"] + one.counted["bytes_out"]) / one.counted["clock"] for one in windows]
    refused = sum(sum(one.last["refused"].values()) for one in windows)
    workers, api, valkey = ([_cpu_ms(one, names) for one in windows] for names in (WORKERS, ("api",), ("valkey",)))
    return [
        spread([100 * one.counted["busy_seconds"] / one.counted["capacity_seconds"] for one in windows]),
        spread([100 * one / limit for one in moved]) if limit else "not limited",
        spread([one.counted["scores"] / one.counted["clock"] for one in windows]),
        spread([one / 1e6 for one in moved], 2),
        spread([one.last["max_bytes_per_s"] / 1e6 for one in windows], 2),
        spread([one.last["max_pending"] for one in windows], 0),
        str(refused or "none"),
        spread(workers),
        f"{median(api):.1f}, {median(valkey):.1f}",
    ]


def _cpu_ms(window: Window, names: tuple[str, ...]) -> float:
    """Return the CPU milliseconds per image of the processes whose names begin with one of `names`."""
    seconds = sum(spent for name, spent in window.cpu.items() if name.startswith(names))
    return seconds * 1000 / window.counted["scores"]


if __name__ == "__main__":
    main()
