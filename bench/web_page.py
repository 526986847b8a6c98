"""How soon an overlay is on the screen, and how smoothly 100,000 items scroll, in Debian's Chromium.

    python -m bench.web_page [--jobs 31] [--items 100000] [--seconds 10]

**First overlay.** The page of a job is open while its only image is scored. The time begins when the outcome is stored,
which is shortly before it is settled, and ends when the browser has drawn the overlay. It includes the event, the
request for the overlay, and the drawing.

**Scrolling.** An API process has one finished job with many items, and no workers. The page scrolls 40 pixels in each
frame, and then jumps to random places. The times are those between two frames, and from a jump until all visible cards
have their names. The browser draws with the CPU.
"""

import argparse
import hashlib
import random
import statistics
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from bench.endpoint import running_endpoint
from bench.figures import print_head, print_table
from bench.service import running_service
from bench.sources import PROMPTS, make_sources
from bench.sweep_pause import store_submission
from maskrelay.client import Client
from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.job import Counts, FinalObject, Frames, Result
from maskrelay.contract.records.outcomes import ArtifactRef, MaskOutcome, Outcome, Rle
from maskrelay.storage.file_store import FileStorage
from tests.support.checks.system_programs import system_program
from tests.support.servers.apis import api_process
from tests.support.servers.valkeys import running_valkey

_SIZE = {"width": 1280, "height": 860}
_JOB = "a" * 26
#: The time for which an image is scored, so that the page is open before.
_SCORE_S = 1.5
_PATIENCE_MS = 120_000
_DRAWN = """() => new Promise((resolve) => {
    const look = () => document.querySelector("canvas.thumbnail.loaded")
        ? requestAnimationFrame(() => resolve(Date.now())) : requestAnimationFrame(look);
    look();
})"""
_SCROLL = """(seconds) => new Promise((resolve) => {
    const times = [];
    let last = performance.now();
    const end = last + 1000 * seconds;
    const step = (now) => {
        times.push(now - last);
        last = now;
        scrollBy(0, 40);
        if (now < end) requestAnimationFrame(step); else resolve(times.slice(1));
    };
    requestAnimationFrame(step);
})"""
_JUMP = """(share) => new Promise((resolve) => {
    const start = performance.now();
    scrollTo(0, share * document.documentElement.scrollHeight);
    const look = () => {
        const cards = [...document.querySelectorAll(".grid .card")];
        const box = (card) => card.getBoundingClientRect();
        const visible = cards.filter((card) => box(card).bottom > 0 && box(card).top < innerHeight);
        if (visible.length && visible.every((card) => card.matches("a"))) resolve(performance.now() - start);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.web_page", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=31)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    print_head("The web page", 1)
    with tempfile.TemporaryDirectory(prefix="bench-page-") as folder:
        latencies = first_overlays(Path(folder), asked.jobs)
        frames, jumps = scrolled(Path(folder), asked.items, asked.seconds)
    rows = [
        _row(f"overlay on the screen after its outcome is stored, {asked.jobs} jobs", latencies),
        _row(f"between two frames while {asked.items:,} items scroll for {asked.seconds:g} s", frames),
        _row("from a jump until all visible cards have their names", jumps),
    ]
    print_table(["time", "median, ms", "95 %, ms", "longest, ms", "times"], rows)


def _row(name: str, times: list[float]) -> list[str]:
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1]
    return [name, f"{statistics.median(times):.0f}", f"{p95:.0f}", f"{max(times):.0f}", f"{len(times):,}"]


@contextmanager
def signed_in(url: str, key: str) -> Iterator[Page]:
    """Yield a page of a browser in which somebody is signed in."""
    with sync_playwright() as playwright:
        program = system_program("chromium", "chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=_SIZE)  # type: ignore[arg-type]
        page.set_default_timeout(_PATIENCE_MS)
        page.goto(url)
        page.get_by_label("API key").fill(key)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Sign out").wait_for()
        yield page
        browser.close()


def first_overlays(folder: Path, jobs: int) -> list[float]:
    """Return the milliseconds from the stored outcome of each job to its overlay on the screen."""
    sources = make_sources(folder / "sources", jobs)
    with (
        running_endpoint(service_time=_SCORE_S) as endpoint,
        running_service(endpoint, folder / "stack") as service,
        Client(service.url, service.api_key) as client,
        signed_in(service.url, service.api_key) as page,
    ):
        return [_first_overlay(client, page, service.data, source) for source in sources]


def _first_overlay(client: Client, page: Page, data: Path, source: Path) -> float:
    job = client.submit(source, PROMPTS[0], outputs=["mask", "overlay", "preview"])
    page.goto(f"{page.url.split('#', maxsplit=1)[0]}#/jobs/{job.id}")
    page.locator("section[aria-label='Progress']").wait_for()
    drawn: float = page.evaluate(_DRAWN)
    stored = min(path.stat().st_mtime for path in data.rglob(f"{keys.outcomes(job.id)}*"))
    return drawn - 1000 * stored


def scrolled(folder: Path, items: int, seconds: float) -> tuple[list[float], list[float]]:
    """Return the milliseconds between two frames while the items scroll, and those after each jump."""
    served = folder / "api"
    served.mkdir()
    with running_valkey() as valkey, api_process(served, valkey.url) as (url, _):
        store_finished_job(FileStorage(served / "store"), items)
        with signed_in(url, "north") as page:
            page.goto(f"{url}/#/jobs/{_JOB}")
            page.locator("a.card").first.wait_for()
            frames: list[float] = page.evaluate(_SCROLL, seconds)
            jumps = [float(page.evaluate(_JUMP, place)) for place in _places()]
    return frames, jumps


def _places() -> list[float]:
    chosen = random.Random(1)
    return [chosen.random() * 0.98 for _ in range(40)]


def store_finished_job(store: FileStorage, items: int) -> None:
    """Write what storage contains of a finished job in which each item has one mask and an overlay."""
    store_submission(store, _JOB, "north")
    store.delete(keys.live(_JOB))
    overlay = _object(store, keys.overlay(_JOB, 0, 0, "0123abcd"), _picture())
    ref = ArtifactRef(**overlay.model_dump(), content_type="image/png")
    begins, lines = [], bytearray()
    for number in range(items):
        begins.append(struct.pack(">Q", len(lines)))
        lines += _line(number, ref).model_dump_json(exclude_none=True).encode() + b"\n"
    now = datetime.now(UTC)
    result: dict[str, Any] = {"job": _JOB, "tenant": "north", "state": "succeeded", "rescored": 0, "software": {}}
    result |= {"created_at": now, "started_at": now, "finished_at": now, "pixels": {}, "endpoints": ()}
    manifest = Result(
        **result,
        counts=Counts(total=items, succeeded=items),
        frames=Frames(planned=items, succeeded=items),
        items=_object(store, keys.final(_JOB, "0123456789abcdef", "items.ndjson"), bytes(lines)),
        index=_object(store, keys.final(_JOB, "0123456789abcdef", "items.index"), b"".join(begins)),
    )
    store.put(keys.result(_JOB), manifest.model_dump_json().encode())


def _line(number: int, overlay: ArtifactRef) -> ItemLine:
    mask = MaskOutcome(
        prompt=PROMPTS[0],
        category="eye anatomies",
        empty=False,
        area_px=12,
        bbox=(1, 2, 3, 4),
        centroid=(2.0, 3.5),
        components=1,
        mean_probability=0.9,
        rle=Rle(size=(64, 64), counts="0@"),
    )
    outcome = Outcome(frame=number, item=number, state="succeeded", masks=(mask,), overlay=overlay)
    name = f"study/{number:06}.png"
    return ItemLine(item=number, custom_id=str(number), source_name=name, state="succeeded", outcomes=(outcome,))


def _object(store: FileStorage, key: str, body: bytes) -> FinalObject:
    store.put(key, body)
    return FinalObject(key=key, length=len(body), sha256=hashlib.sha256(body).hexdigest())


def _picture() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return make_sources(Path(folder), 2)[1].read_bytes()


if __name__ == "__main__":
    main()
