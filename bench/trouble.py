"""A scripted hour of failures in the simulator, compressed: what becomes of the images, and how many requests are made.

    python -m bench.trouble [--speed 60] [--images 160] [--runs 1] [--ways maskrelay "5 threads, blind retries" …]

Every contender gets the same images, and at the same moment the same script begins: a roll-out, a storm of 429, a
restart, an expired token, a drop of the bandwidth, and twenty minutes in which every input is answered with 424 or 500.
After the hour, a contender may continue until it has finished or given up every image. The number of wasted requests
grows with the number of failures, and that of necessary ones with the number of images, so a shorter hour gives a
larger share of wasted requests.

The service uses expiring tokens that are renewed through azure-identity. The alternatives cannot renew a token, so they
use a key, which does not expire.

`wasted` are the requests at the endpoint beyond the one that each succeeded image needs, including the canaries.
`charged` are images with more than one counted attempt when they ended; the alternatives have no such count.
"""

import argparse
import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simulator
from bench.contenders import PEERS, Contender, ours
from bench.endpoint import RunningEndpoint, running_endpoint
from bench.figures import print_head, print_table, spread
from bench.identity import OPENER, managed_identity
from bench.measured import Measured, measure
from bench.sources import PROMPTS, make_sources

OURS = "maskrelay"
_HOUR = Path(simulator.__file__).parent / "scripts" / "hour_of_trouble.json"
_WARM = 4


@dataclass(frozen=True, slots=True)
class Endured:
    """The hour of one contender. `answers` counts the endpoint's responses by status or kind of broken connection."""

    measured: Measured
    answers: dict[str, int]
    charged: int | None

    @property
    def wasted(self) -> float:
        """Return the wasted share of the requests, in percent."""
        requests = sum(self.answers.values())
        return 100 * (requests - self.measured.done.succeeded) / max(requests, 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.trouble", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--runs", type=int, default=1)
    add("--images", type=int, default=160)
    add("--speed", type=float, default=60, help="how much shorter the hour is")
    add("--service-time", type=float, default=2.0, help="seconds an image, in 8 slots")
    add("--ways", nargs="+", default=[OURS, "5 threads, blind retries"])
    asked = parser.parse_args()
    for name in asked.ways:
        if name not in {OURS, *PEERS}:
            parser.error(f"{name!r} is none of {', '.join([OURS, *PEERS])}")
    print_head(f"An hour of trouble in {3600 / asked.speed:.0f} s, {asked.images} images", asked.runs)
    report({name: [_endure(name, asked) for _ in range(asked.runs)] for name in asked.ways}, asked.images)


def _endure(name: str, asked: argparse.Namespace) -> Endured:
    with tempfile.TemporaryDirectory(prefix="bench-") as place, _started(name, Path(place), asked) as started:
        endpoint, contender = started
        folder = Path(place)
        files = make_sources(folder / "sources", asked.images)
        contender.work(files[:_WARM], folder / "warm")
        endpoint.turn(reset=True)
        endpoint.turn(script=json.loads(_HOUR.read_text()), speed=asked.speed)
        measured = measure(contender, endpoint, files, folder / "masks")
        answers: dict[str, int] = endpoint.counters()["answers"]
        return Endured(measured, answers, _charged(folder / "way") if name == OURS else None)


@contextlib.contextmanager
def _started(name: str, folder: Path, asked: argparse.Namespace) -> Iterator[tuple[RunningEndpoint, Contender]]:
    """Yield the endpoint with credentials that the contender can use, and the contender."""
    switches: dict[str, Any] = {"service_time": asked.service_time, "max_concurrent": 8, "bandwidth": 50e6}
    with contextlib.ExitStack() as stack:
        if name != OURS:
            endpoint = stack.enter_context(running_endpoint(**switches))
            yield endpoint, stack.enter_context(PEERS[name](endpoint, PROMPTS[:1], folder / "way"))
            return
        stack.enter_context(managed_identity())
        switches |= {"key": None, "auth": "aml_token", "control_plane_token": OPENER}
        endpoint = stack.enter_context(running_endpoint(**switches))
        settings: dict[str, Any] = {
            "endpoint_key": None,
            "endpoint_auth": "aml_token",
            "endpoint_token_url": endpoint.url.removesuffix("/score") + "/token",
            "endpoint_max_in_flight": 16,
            "endpoint_max_bytes_per_s": 50e6,
        }
        yield endpoint, stack.enter_context(ours(endpoint, PROMPTS[:1], folder / "way", **settings))


def _charged(folder: Path) -> int:
    """Return the number of images with more than one attempt in their outcome."""
    parts = (folder / "data" / "storage" / "jobs").glob("*/outcomes/*.ndjson")
    outcomes = [json.loads(line) for part in parts for line in part.read_bytes().splitlines()]
    return sum(outcome["attempts"] > 1 for outcome in outcomes)


def report(ways: dict[str, list[Endured]], images: int) -> None:
    rows = []
    for name, runs in ways.items():
        done = [one.measured.done for one in runs]
        rows.append(
            [
                name,
                spread([one.succeeded for one in done], 0),
                spread([one.failed for one in done], 0),
                spread([images - one.succeeded - one.failed for one in done], 0),
                ", ".join("–" if one.charged is None else str(one.charged) for one in runs),
                spread([sum(one.answers.values()) for one in runs], 0),
                spread([one.wasted for one in runs]),
                spread([one.measured.seconds for one in runs], 0),
                "; ".join(" ".join(f"{kind}:{n}" for kind, n in sorted(one.answers.items())) for one in runs),
            ]
        )
    head = ["way", "succeeded", "failed", "lost", "charged", "requests", "wasted %", "seconds", "answers"]
    print_table(head, rows)


if __name__ == "__main__":
    main()
