"""The CPU time per image: the service's workers against common alternatives, with the same files and endpoint.

    python -m bench.cpu [--images 160] [--runs 3] [--prompts 1 3]

Every contender starts its processes and segments four images as a warm-up. Then it processes the same folder in each
run, in turn with the others. `workers` is the CPU time of the service's segment, control and deliver processes
together. For an alternative, it is that of all its processes, which also write its masks. The API, Valkey and the
caller, which uploads the images and fetches the masks, are listed separately.
"""

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.codec import floor
from bench.contenders import PEERS, Contender, ours
from bench.endpoint import RunningEndpoint, running_endpoint
from bench.figures import median, print_head, print_table, spread
from bench.measured import Measured, measure
from bench.sources import PROMPTS, make_sources

OURS = "maskrelay"
_WARM = 4


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--prompts", type=int, nargs="+", default=[1], choices=range(1, len(PROMPTS) + 1))
    parser.add_argument("--service-time", type=float, default=0.25, help="seconds an image, in 8 slots")
    parser.add_argument("--without", nargs="*", default=[], choices=list(PEERS), metavar="PEER")
    asked = parser.parse_args()
    peers = [name for name in PEERS if name not in asked.without]
    for prompts in asked.prompts:
        print_head(f"CPU an image, {prompts} prompt(s), {asked.images} images", asked.runs)
        runs, floors = compare(asked.images, asked.runs, PROMPTS[:prompts], asked.service_time, peers)
        report(runs, floors)


def compare(
    images: int, runs: int, prompts: Sequence[str], service_time: float, peers: Sequence[str]
) -> tuple[dict[str, list[Measured]], list[float]]:
    """Return the runs of every contender, and for each run of the service the floor in milliseconds per image."""
    measured: dict[str, list[Measured]] = {name: [] for name in (OURS, *peers)}
    floors: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        files = make_sources(folder / "sources", images)
        switches = {"service_time": service_time, "max_concurrent": 8}
        endpoint = stack.enter_context(running_endpoint(**switches))
        ready = {name: stack.enter_context(_start(name, endpoint, prompts, folder / name)) for name in measured}
        for contender_name, contender in ready.items():
            contender.work(files[:_WARM], folder / contender_name / "warm")
        for run in range(runs):
            floors.append(floor([path.read_bytes() for path in files], len(prompts)))
            for contender_name, contender in ready.items():
                out = folder / contender_name / f"run-{run}"
                measured[contender_name].append(_checked(contender, endpoint, files, out, len(prompts)))
    return measured, floors


def _start(
    name: str, endpoint: RunningEndpoint, prompts: Sequence[str], folder: Path
) -> contextlib.AbstractContextManager[Contender]:
    if name == OURS:
        return ours(endpoint, prompts, folder, endpoint_max_in_flight=16, endpoint_max_bytes_per_s=1e9)
    return PEERS[name](endpoint, prompts, folder)


def _checked(
    contender: Contender, endpoint: RunningEndpoint, files: Sequence[Path], out: Path, prompts: int
) -> Measured:
    """Measure a run. End the benchmark if a mask is missing, because the CPU time would have no meaning."""
    measured = measure(contender, endpoint, files, out)
    written = len(list(out.rglob("*.png")))
    if measured.done.failed or written != len(files) * prompts:
        raise SystemExit(f"{out.parent.name}: {written} masks of {len(files)} images with {prompts} prompt(s)")
    return measured


def report(runs: dict[str, list[Measured]], floors: Sequence[float]) -> None:
    """Print the table of ratios, and the parts of the service's milliseconds."""
    base = [one.workers_cpu for one in runs[OURS]]
    rows = []
    for name, measured in runs.items():
        cpu = [one.workers_cpu for one in measured]
        ratio = median([theirs / own for theirs, own in zip(cpu, base, strict=True)])
        paces = spread([one.images_per_s for one in measured])
        up = f"{median([one.bytes_up for one in measured]) / 1e6:.2f}"
        rows.append([name, spread(cpu), f"{ratio:.1f}", spread([one.whole_cpu for one in measured]), paces, up])
    ratio = median([least / own for least, own in zip(floors, base, strict=True)])
    rows.append(["codec floor: one thread, no HTTP", spread(floors), f"{ratio:.2f}", "", "", ""])
    head = ["way", "workers' CPU ms/image", "ratio to ours", "all processes' CPU ms/image", "images/s", "MB up/image"]
    print_table(head, rows)
    split = {name: spread([one.cpu[name] for one in runs[OURS]]) for name in runs[OURS][0].cpu}
    split["of client: fetching masks"] = spread([one.saving_cpu for one in runs[OURS]])
    print_table(["our process", "CPU ms/image"], [[name, value] for name, value in split.items()])


if __name__ == "__main__":
    main()
