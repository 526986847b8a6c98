"""A run that is killed half way and started again: what is lost, doubled, paid twice and read again.

    python -m bench.resume [--images 2000] [--ways maskrelay "Ray Data" Daft]

Every way segments the same images, which are in a local S3 server, with the same faulty endpoint: some requests get
503, 429 or 408, a reset, or a body that takes longer than the timeout. When half of the images are scored, all
processes of the way are killed with SIGKILL. Then its command is typed again, until it ends well.

Ray Data and Daft run in an environment of their own, with everything that their documentation offers for this case:
retries, a checkpoint by a key column, small blocks, and images that are read only after the filter of the checkpoint
(`bench/rivals`).

`lost` are images without a row in the result, and `doubled` are rows beyond one for each image. `paid twice` are images
that the endpoint scored beyond one time each. `read again` are the bytes of images beyond one time each, in percent.
"""

import argparse
import io
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
from PIL import Image

from bench.endpoint import RunningEndpoint, running_endpoint
from bench.figures import print_head, print_table
from bench.resumed_ways import WAYS, Way, Work
from bench.sources import PROMPTS, photograph, varied
from tests.support.proxies.s3_proxy import faulty_proxy
from tests.support.servers.s3_servers import running_s3

BUCKET = "lake"
#: The faults of the endpoint, each for a share of all requests.
FAULTS = [
    {"status": 503, "rate": 0.02},
    {"status": "reset", "rate": 0.01},
    {"status": 429, "kind": "rate", "rate": 0.02, "retry_after": 1},
    {"status": 408, "rate": 0.01},
    {"status": "slow", "seconds": 120, "rate": 0.005},
]
#: How often a command is typed at most.
_MOST_STARTS = 6
#: The seconds in which the endpoint must score another image, or the way is killed.
_PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Resumed:
    """How a way came through. `rows` counts the rows of the result by image."""

    rows: Counter[str]
    ended_well: bool
    starts: int
    #: The images that the endpoint had scored when the way was killed, and at the end.
    scored_before: int
    scored: int
    #: The endpoint's responses other than 200.
    faults: int
    bytes_read: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.resume", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), metavar="WAY")
    parser.add_argument("--service-time", type=float, default=0.2, help="seconds an image, in 8 slots")
    parser.add_argument("--batch", type=int, default=20, help="images whose results the others write together")
    asked = parser.parse_args()
    print_head(f"Killed half way and started again, {asked.images} images", 1)
    with running_s3(BUCKET) as server, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sizes = put_images(server.endpoint_url, asked.images)
        found = {}
        for name in asked.ways:
            with (
                faulty_proxy(server.endpoint_url) as proxy,
                running_endpoint(service_time=asked.service_time, max_concurrent=8) as endpoint,
            ):
                endpoint.turn(fail=FAULTS)
                place = Path(folder) / name.replace(" ", "-")
                work = Work(place, list(sizes), proxy.url, endpoint.url, endpoint.key, PROMPTS[0], asked.batch)
                found[name] = resume(WAYS[name](work), endpoint, len(sizes), proxy.answered)
        report(found, sizes)


def put_images(endpoint_url: str, count: int, first: int = 0) -> dict[str, int]:
    """Put the different images `first` to `count - 1` into the bucket. Return their sizes by their keys."""
    client, sizes = boto3.session.Session().client("s3", endpoint_url=endpoint_url), {}
    whole = photograph("ihc.png")
    for number in range(first, count):
        written = io.BytesIO()
        Image.fromarray(varied(whole, number)).resize((256, 256)).save(written, "JPEG", quality=85)
        key = f"images/{number:05}.jpg"
        client.put_object(Bucket=BUCKET, Key=key, Body=written.getvalue())
        sizes[key] = len(written.getvalue())
    return sizes


def resume(way: Way, endpoint: RunningEndpoint, images: int, answered: Mapping[str, int]) -> Resumed:
    """Start the way, kill it when half of the images are scored, and start it again until it ends well."""
    began = time.monotonic()
    way.start()
    _await_scores(way, endpoint, images // 2)
    before = _scored(endpoint)
    way.kill()
    starts, ended_well = 1, False
    while not ended_well and starts < _MOST_STARTS:
        way.start()
        starts += 1
        ended_well = _await_scores(way, endpoint, None)
    seconds = time.monotonic() - began
    rows = way.rows()
    way.kill()
    answers = endpoint.counters()["answers"]
    return Resumed(
        rows=rows,
        ended_well=ended_well,
        starts=starts,
        scored_before=before,
        scored=_scored(endpoint),
        faults=sum(answers.values()) - answers.get("200", 0),
        bytes_read=sum(size for request, size in answered.items() if request.startswith("GET ") and ".jpg" in request),
        seconds=seconds,
    )


def _scored(endpoint: RunningEndpoint) -> int:
    return int(endpoint.counters()["rows"])


def _await_scores(way: Way, endpoint: RunningEndpoint, enough: int | None) -> bool:
    """Wait until enough images are scored, or the way has ended. Return whether it has ended well.

    A way that makes no progress any more is killed.
    """
    most, since = -1, time.monotonic()
    while (well := way.ended()) is None:
        scored = _scored(endpoint)
        if scored > most:
            most, since = scored, time.monotonic()
        if enough is not None and scored >= enough:
            return False
        if time.monotonic() - since > _PATIENCE_S:
            way.kill()
            return False
        time.sleep(0.5)
    return well


def report(ways: Mapping[str, Resumed], sizes: Mapping[str, int]) -> None:
    total, rows = sum(sizes.values()), []
    for name, found in ways.items():
        names = {Path(key).name for key in sizes}
        rows.append(
            [
                name,
                "yes" if found.ended_well else "no",
                str(found.starts),
                str(len(names - found.rows.keys())),
                str(found.rows.total() - len(found.rows)),
                str(found.scored_before),
                str(found.scored),
                str(max(0, found.scored - len(sizes))),
                str(found.faults),
                f"{100 * (found.bytes_read - total) / total:.1f} %",
                f"{found.seconds:.0f}",
            ]
        )
    head = ["way", "ended well", "starts", "lost", "doubled", "scored before the kill", "scored in all", "paid twice"]
    print_table([*head, "failed requests", "read again", "seconds"], rows)


if __name__ == "__main__":
    main()
