"""Measure whether memory grows with the slices of a series: the peak resident memory of each worker
by number of slices.

    python -m bench.series_memory [--slices 100 300 600] [--prompts 2]

One CT series of 512 × 512 slices is submitted as separate files, and every kind of file of a whole item is made from
it. The service is restarted for each number of slices. The output is the largest resident memory (VmHWM) of any process
of each role. It also shows the size that the sources and labels of the series would have as arrays.
"""

import argparse
import tempfile
from pathlib import Path

import psutil

from bench.endpoint import running_endpoint
from bench.figures import print_head, print_table
from bench.service import RunningService, running_service
from bench.sources import PROMPTS, make_series

SIDE = 512
ROLES = ("segment", "assemble", "control", "api")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.series_memory", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[100, 300, 600])
    parser.add_argument("--prompts", type=int, default=2, choices=range(1, len(PROMPTS) + 1))
    asked = parser.parse_args()
    print_head(f"Peak memory over a series of {SIDE} × {SIDE} slices, {asked.prompts} prompt(s)", 1)
    rows = [_row(slices, asked.prompts) for slices in asked.slices]
    print_table(["slices", *(f"{role}, MB" for role in ROLES), "sources, MB", "labels as bytes, MB"], rows)


def _row(slices: int, prompts: int) -> list[str]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        running_endpoint(service_time=0.05, max_concurrent=8) as endpoint,
        running_service(endpoint, Path(folder) / "data", endpoint_max_bytes_per_s=1e9) as service,
    ):
        files = make_series(Path(folder) / "series", slices, SIDE)
        _segment(service, files, PROMPTS[:prompts])
        peaks = [f"{peak(service.processes[role]) / 1e6:.0f}" for role in ROLES]
    pixels = slices * SIDE * SIDE / 1e6
    return [str(slices), *peaks, f"{2 * pixels:.0f}", f"{prompts * pixels:.0f}"]


def _segment(service: RunningService, files: list[Path], prompts: tuple[str, ...]) -> None:
    with service.client() as client:
        job = client.submit(files, prompts, outputs=["nifti", "nifti-per-prompt", "seg", "contact-sheet", "geojson"])
        ended = client.wait(job.id)
        if ended.state != "succeeded" or ended.counts.total != 1:
            raise SystemExit(f"the job is {ended.state}: {ended.counts}")


def peak(pid: int) -> int:
    """Return the largest resident memory, in bytes, of any process in this process tree."""
    process = psutil.Process(pid)
    return max(_peak_of(one.pid) for one in (process, *process.children(recursive=True)))


def _peak_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
