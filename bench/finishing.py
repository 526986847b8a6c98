"""Finish one job of very many frames, and measure the time, peak memory, temporary file, and calls to storage.

`python -m bench.finishing --frames 1000000 --children 64`: the frames are in outcome parts of 64 lines, as this number
of concurrent child processes write them, in a folder of files. Then the job is finished as a control worker does it, in
turns of `--turn` seconds.
"""

import argparse
import resource
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import FRAMES_PER_PART, PlannedFrame, Submission
from maskrelay.contract.records.outcomes import (
    ArtifactRef,
    MaskOutcome,
    Outcome,
    Rle,
)
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.storage.file_store import FileStorage
from tests.support.counted_storage import CountedStorage
from worker.context.job_records.visible_outcomes import find_visible_outcomes
from worker.context.turn import TimeIsUp, Turn
from worker.finish.final_objects import write_final_objects

JOB = "f" * 26
PROMPT = "optic disc in retinal fundus"
LINES = 64
#: A number that is replaced by the number of a frame in a template. The template does not contain it elsewhere.
_FRAME = 1_987_654_321
Listed = list[tuple[str, frozenset[int]]]


def _with_number(template: bytes, number: int) -> bytes:
    return template.replace(b"%d" % _FRAME, b"%d" % number)


def line(frame: int) -> bytes:
    """Return the line of a frame in an outcome part."""
    return _with_number(_template(), frame)


@cache
def _template() -> bytes:
    """Return a line like that of an image of 512 × 512 pixels, about 1.3 kB, with the number `_FRAME`."""
    ref = ArtifactRef(key=keys.pack(JOB, "0" * 32), offset=_FRAME, length=900, sha256="0" * 64)
    mask = MaskOutcome(
        prompt=PROMPT,
        category="eye anatomies",
        empty=False,
        area_px=1000,
        bbox=(1, 2, 30, 40),
        centroid=(2.0, 3.5),
        components=1,
        mean_probability=0.9,
        rle=Rle(size=(512, 512), counts="0@Z1" * 150),
        mask=ref,
    )
    geometry = {"height": 512, "width": 512, "side": 512, "top": 0, "left": 0, "canvas": 1024}
    timings = {"decode": 3.9, "prepare": 9.5, "score": 106.5, "restore": 2.3}
    made = Outcome(
        frame=_FRAME,
        item=_FRAME,
        state="succeeded",
        masks=(mask,),
        geometry=geometry,
        endpoint="default",
        timings_ms=timings,
    )
    return made.model_dump_json(exclude_none=True).encode() + b"\n"


def write(root: Path, key: str, body: bytes) -> None:
    """Write an object without the store, which would flush each file to disk."""
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def interleaved(frames: int, children: int) -> Iterator[list[int]]:
    """Yield the frames of each part, in the order in which the parts are settled."""
    for first in range(0, frames, children * LINES):
        block = range(first, min(frames, first + children * LINES))
        for child in range(children):
            if mine := list(block[child::children]):
                yield mine


def laid_out(root: Path, frames: int, children: int) -> Listed:
    item = PlannedItem(item=_FRAME, custom_id=str(_FRAME), first=_FRAME, frames=1)
    frame = PlannedFrame(frame=_FRAME, item=_FRAME, source="uploads/t/x", size=1, sha256="0" * 64, prompts=(PROMPT,))
    for part in range(-(-frames // FRAMES_PER_PART)):
        numbers = range(part * FRAMES_PER_PART, min(frames, (part + 1) * FRAMES_PER_PART))
        for key, record in ((keys.item_part(JOB, part), item), (keys.frame_part(JOB, part), frame)):
            template = record.model_dump_json(exclude_defaults=True).encode()
            write(root, key, b"\n".join(_with_number(template, n) for n in numbers))
    listed: Listed = []
    for number, mine in enumerate(interleaved(frames, children)):
        name = f"{1_000_000 + number:016d}-{number % children:08x}-{number // children:06d}"
        write(root, keys.outcome_part(JOB, name), b"".join(map(line, mine)))
        listed.append((name, frozenset()))
    return listed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--children", type=int, default=64)
    parser.add_argument("--turn", type=float, default=30.0, help="seconds that each try is lent; 0 without an end")
    asked = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="bench-finishing-"))
    try:
        measure(root, asked.frames, laid_out(root, asked.frames, asked.children), asked.turn or float("inf"))
    finally:
        shutil.rmtree(root)


def measure(root: Path, frames: int, listed: Listed, lent: float) -> None:
    storage: Any = CountedStorage(FileStorage(root))
    now, parts = datetime.now(UTC), -(-frames // FRAMES_PER_PART)
    submission = Submission(id=JOB, tenant="t", created_at=now, lane="bulk", outputs=(), total=frames, fingerprint="")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    turns, made, states = 0, None, dict[str, bytes]()
    while made is None:
        turns += 1
        turn = Turn(time.monotonic() + lent)
        with closing(find_visible_outcomes(storage, JOB, frames, listed, turn=turn, saved=states.get)) as visible:
            try:
                if visible.complete:
                    made = write_final_objects(storage, submission, parts, visible, planned=True, turn=turn)
            except TimeIsUp:
                pass
            states = {visible.name: visible.state()}
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert made.frames.succeeded == frames
    spent = time.process_time() - cpu
    print(f"{frames} frames in {len(listed)} parts: {took:.0f} s in {turns} turns, {spent:.0f} s of CPU")
    print(f"peak memory {peak / 1024:.0f} MiB ({before / 1024:.0f} before); result {made.items.length / 2**30:.2f} GiB")
    reads = Counter(key.split("/")[2] for key in storage.read.elements())
    most = max(count for key, count in storage.read.items() if key.startswith(keys.outcomes(JOB)))
    print(f"objects read: {dict(reads)}; an outcome part at most {most} times")


if __name__ == "__main__":
    main()
