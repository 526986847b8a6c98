"""The latency that the service adds to one image on an idle system, compared with a bare client.

    python -m bench.latency [--images 40] [--prompts 1] [--service-time 0.1]

The service is measured as `POST /v1/jobs` with `Prefer: wait`. The bare client is this process: it runs the
service's own codec in one thread with a persistent connection, from the bytes of the file to the bytes of the mask
PNGs. Both process the same file, one after the other, so that other load on the machine affects both. The figure is
the median of the differences.

Before each pair, there is a pause of one second, so that every loop is asleep and the byte limit has all of its tokens.
The parts are measured with the clocks of the job's record, of the frame's outcome and of the caller.
"""

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx

from bench.endpoint import RunningEndpoint, running_endpoint
from bench.figures import print_head, print_table, spread
from bench.service import RunningService, running_service
from bench.sources import PROMPTS, make_sources
from maskrelay.client import Client
from maskrelay.contract.views.job_views import JobShown
from maskrelay.contract.wire.image2d import encode_request
from maskrelay.contract.wire.image2d_answer import parse_answer
from maskrelay.imaging.frame_pixels import draw, prepare

_WARM = 4
#: A pause that is longer than the time for which an idle loop of a worker stays awake.
_IDLE_S = 1.0
_MAX_PIXELS = 100_000_000
Split = dict[str, float]
#: A function from the bytes of a file and its prompts to the bytes of the masks.
BareClient = Callable[[bytes, tuple[str, ...]], None]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--images", type=int, default=40)
    add("--prompts", type=int, default=1, choices=range(1, len(PROMPTS) + 1))
    add("--service-time", type=float, default=0.1, help="seconds an image")
    asked = parser.parse_args()
    prompts = PROMPTS[: asked.prompts]
    print_head(f"Latency of one image, {asked.prompts} prompt(s), idle system", asked.images)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        running_endpoint(service_time=asked.service_time, max_concurrent=8) as endpoint,
        running_service(endpoint, Path(folder) / "data", endpoint_max_in_flight=8) as service,
        service.client() as client,
        _bare_client(endpoint) as bare,
    ):
        files = make_sources(Path(folder) / "sources", asked.images + _WARM)
        pairs = [_pair(service, client, bare, path, prompts) for path in files]
    report(pairs[_WARM:])


@contextlib.contextmanager
def _bare_client(endpoint: RunningEndpoint) -> Iterator[BareClient]:
    headers = {"authorization": f"Bearer {endpoint.key}", "content-type": "application/json"}
    with httpx.Client(headers=headers, timeout=60, trust_env=False) as http:

        def segment(file: bytes, prompts: tuple[str, ...]) -> None:
            prepared = prepare(file, prompts, max_pixels=_MAX_PIXELS)
            answer = http.post(endpoint.url, content=encode_request([prepared.row])).raise_for_status()
            [read] = parse_answer(answer.content, [prepared.row])
            draw(prepared, read, "probability", ("mask",))

        yield segment


def _pair(
    service: RunningService, client: Client, bare: BareClient, path: Path, prompts: tuple[str, ...]
) -> tuple[float, Split]:
    """Return the milliseconds of the bare client, and those of the service by stage, with `all` as their total."""
    time.sleep(_IDLE_S)
    began = time.monotonic()
    bare(path.read_bytes(), prompts)
    alone = (time.monotonic() - began) * 1000
    began = time.monotonic()
    job = client.submit([path], prompts, outputs=["mask"], wait_s=30)
    whole = (time.monotonic() - began) * 1000
    if job.state != "succeeded":
        raise SystemExit(f"a job is {job.state}")
    return alone, _split(service, job, whole)


def _split(service: RunningService, job: JobShown, whole: float) -> Split:
    """Return the milliseconds by stage. "claimed, settled and concluded" is what the stages of the only
    frame do not include.
    """
    frame = _frame_timings(service, job.id)
    planning, total = (job.timings[name] * 1000 for name in ("planning", "total"))
    return {
        "accepted and answered (the caller's clock beside the job's)": whole - total,
        "waited for the plan": planning,
        **{f"frame: {stage}": taken for stage, taken in frame.items()},
        "claimed, settled and concluded": total - planning - sum(frame.values()),
        "all": whole,
    }


def _frame_timings(service: RunningService, job: str) -> Split:
    """Return the milliseconds of each stage of the only frame, from its outcome."""
    [part] = (service.data / "storage" / "jobs" / job / "outcomes").glob("*.ndjson")
    timings: Split = json.loads(part.read_bytes().splitlines()[0])["timings_ms"]
    return timings


def report(pairs: Sequence[tuple[float, Split]]) -> None:
    rows = [
        ["**added**: the service minus the bare client", spread([split["all"] - bare for bare, split in pairs])],
        ["bare client", spread([bare for bare, _ in pairs])],
        ["service", spread([split["all"] for _, split in pairs])],
    ]
    stages = [stage for stage in pairs[0][1] if stage != "all"]
    rows += [[f"of it: {stage}", spread([split[stage] for _, split in pairs])] for stage in stages]
    print_table(["milliseconds", "median (least to most)"], rows)


if __name__ == "__main__":
    main()
