"""The CPU time per image: the service against common alternatives, with the same files, in one run.

    python -m bench.cpu [--images 240] [--runs 3] [--prompts 1 3] [--without CONTENDER …]

The service is measured with its results on files and on S3, with the stock and with the lean deployment, and with one
bulk job and single images, one after another and eight at a time. Every contender starts its processes and segments
four images as a warm-up. The service segments 68 more, because after 64 images it finds out whether the deployment
reads grayscale PNGs. Then each contender processes files in each run, in turn with the others: a bulk job has all of
them, and single images and the alternatives, whose cost does not depend on the number, are the first eighth of them.

`all processes` counts the workers, the API, Valkey, and the caller, which uploads the images and fetches the masks. An
alternative has one process, or a few of one kind. The endpoint and the S3 server (moto) are not counted.

The floors say what no contender can avoid: the pixel work in one thread without HTTP, the images per second that the
bytes on the wire allow at 5 MB/s, and the time to make one small file durable on this disk. `× pixel work` compares
runs on machines of different speed: it divides the CPU time by that of the pixel work, measured in the same run.
"""

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.codec import floor
from bench.contenders import PEERS, Contender, ours
from bench.endpoint import RunningEndpoint, running_endpoint
from bench.figures import median, print_head, print_table, spread
from bench.measured import Measured, measure
from bench.sources import PROMPTS, make_sources
from tests.support.lean_script import LEAN_SCRIPT
from tests.support.proxies.s3_proxy import faulty_proxy
from tests.support.servers.s3_servers import RunningS3, running_s3
from worker.segment.picture_choice import MANY

_WARM = 4
#: Some images more than those after which the service compares grayscale PNGs with RGB PNGs.
_WARM_SERVICE = MANY + 8
#: Single images and the alternatives are given this part of the files of a bulk job.
_PART = 8
#: The bytes per second of a real endpoint, in both directions together.
_BANDWIDTH = 5e6


@dataclass(frozen=True, slots=True)
class Way:
    """How the service is used: where it stores results, which deployment it calls, and how images are submitted."""

    s3: bool = False
    lean: bool = False
    #: The single images that are submitted at a time. 0 means one bulk job.
    callers: int = 0


BASE = "maskrelay, bulk"
WAYS: Mapping[str, Way] = {
    BASE: Way(),
    "maskrelay, bulk, lean": Way(lean=True),
    "maskrelay, bulk, S3": Way(s3=True),
    "maskrelay, single": Way(callers=1),
    "maskrelay, 8 single": Way(callers=8),
    "maskrelay, single, S3": Way(s3=True, callers=1),
}


@dataclass(frozen=True, slots=True)
class Servers:
    """The processes and values that all contenders share."""

    stock: RunningEndpoint
    lean: RunningEndpoint
    s3: RunningS3
    #: A proxy in front of the S3 server. It keeps connections open, as S3 does and moto does not.
    s3_url: str


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--prompts", type=int, nargs="+", default=[1], choices=range(1, len(PROMPTS) + 1))
    parser.add_argument("--service-time", type=float, default=0.25, help="seconds per image, in 8 slots")
    every = [*WAYS, *PEERS]
    parser.add_argument("--without", nargs="*", default=[], choices=every[1:], metavar="CONTENDER")
    options = parser.parse_args()
    names = [name for name in every if name not in options.without]
    for prompts in options.prompts:
        print_head(f"CPU per image, {prompts} prompt(s), {options.images} images", options.runs)
        runs, floors = compare(options.images, options.runs, PROMPTS[:prompts], options.service_time, names)
        report(runs, floors)


def compare(
    images: int, runs: int, prompts: Sequence[str], service_time: float, names: Sequence[str]
) -> tuple[dict[str, list[Measured]], list[float]]:
    """Return the runs of every contender, and for each run the codec floor in milliseconds per image."""
    measured: dict[str, list[Measured]] = {name: [] for name in names}
    floors: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        files = make_sources(folder / "sources", images)
        switches = {"service_time": service_time, "max_concurrent": 8}
        servers = Servers(
            stack.enter_context(running_endpoint(**switches)),
            stack.enter_context(running_endpoint(**switches, lean=LEAN_SCRIPT)),
            s3 := stack.enter_context(running_s3()),
            stack.enter_context(faulty_proxy(s3.endpoint_url)).url,
        )
        ready = {name: stack.enter_context(_start(name, servers, prompts, folder / name)) for name in measured}
        for name, contender in ready.items():
            contender.work(files[: _WARM_SERVICE if name in WAYS else _WARM], folder / name / "warm")
        for run in range(runs):
            floors.append(floor([path.read_bytes() for path in files], len(prompts)))
            for name, contender in ready.items():
                way = WAYS.get(name)
                chosen = files if way and not way.callers else files[: max(images // _PART, 1)]
                endpoint = servers.lean if way and way.lean else servers.stock
                out = folder / name / f"run-{run}"
                measured[name].append(_checked(contender, endpoint, chosen, out, len(prompts)))
    return measured, floors


def _start(
    name: str, servers: Servers, prompts: Sequence[str], folder: Path
) -> contextlib.AbstractContextManager[Contender]:
    if name in PEERS:
        return PEERS[name](servers.stock, prompts, folder)
    way = WAYS[name]
    settings: dict[str, object] = {"endpoint_max_in_flight": 16, "endpoint_max_bytes_per_s": 1e9}
    if way.lean:
        settings["endpoint_wire"] = "lean2d"
    if way.s3:
        storage_url = f"{servers.s3.storage_url}/{folder.name.replace(', ', '-')}"
        settings |= {"storage_url": storage_url, "s3_endpoint_url": servers.s3_url}
    caller = "bench.single_client" if way.callers else "bench.client"
    endpoint = servers.lean if way.lean else servers.stock
    return ours(endpoint, prompts, folder, caller_module=caller, callers=way.callers, **settings)


def _checked(
    contender: Contender, endpoint: RunningEndpoint, files: Sequence[Path], out: Path, prompts: int
) -> Measured:
    """Measure a run. End the benchmark if a mask is missing, because the CPU time would have no meaning."""
    measured = measure(contender, endpoint, files, out)
    written = len(list(out.rglob("*.png")))
    if measured.done.failed or written != len(files) * prompts:
        raise SystemExit(f"{out.parent.name}: {written} masks of {len(files)} images with {prompts} prompt(s)")
    return measured


def flush_ms(folder: Path, files: int = 50) -> float:
    """Return the median time in milliseconds to write a file of 4 kB into `folder` and flush it and its name."""
    taken = []
    listing = os.open(folder, os.O_RDONLY)
    try:
        for number in range(files):
            began = time.perf_counter()
            with (folder / f"flush-{number}").open("wb") as written:
                written.write(bytes(4096))
                written.flush()
                os.fsync(written.fileno())
            os.fsync(listing)
            taken.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(listing)
    return median(taken)


def report(runs: dict[str, list[Measured]], floors: Sequence[float]) -> None:
    """Print the table of contenders, the floors, and the parts of the service's milliseconds."""
    base = [run.whole_cpu for run in runs[BASE]]
    rows = []
    for name, measured in runs.items():
        ratio = median([run.whole_cpu / own for run, own in zip(measured, base, strict=True)])
        over_floor = median([run.whole_cpu / floor for run, floor in zip(measured, floors, strict=True)])
        moved = median([run.bytes_moved for run in measured])
        rows.append(
            [
                name,
                spread([run.whole_cpu for run in measured]),
                f"{ratio:.2f}" if name in WAYS else f"**{ratio:.1f}**",
                f"{over_floor:.2f}",
                spread([run.workers_cpu for run in measured]),
                spread([run.images_per_s for run in measured]),
                f"{moved / 1e6:.2f}",
                f"{_BANDWIDTH / moved:.1f}",
            ]
        )
    head = [
        "contender",
        "all processes, CPU ms per image",
        f"× {BASE}",
        "× pixel work",
        "workers, CPU ms per image",
        "images/s (not comparable for single images)",
        "MB on the wire per image",
        "images/s that 5 MB/s allow",
    ]
    print_table(head, rows)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        disk = flush_ms(Path(folder))
    floor_rows = [
        ["pixel work in one thread, without HTTP, CPU ms per image", spread(floors)],
        ["one small file made durable on this disk, ms", f"{disk:.1f}"],
    ]
    print_table(["floor", ""], floor_rows)
    ways = [name for name in runs if name in WAYS]
    split = [
        [process, *(spread([run.cpu[process] for run in runs[name]]) for name in ways)] for process in runs[BASE][0].cpu
    ]
    split.append(["client: only fetching masks", *(spread([run.saving_cpu for run in runs[name]]) for name in ways)])
    print_table(["process, CPU ms per image", *ways], split)


if __name__ == "__main__":
    main()
