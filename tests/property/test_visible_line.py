"""The choice of a frame's visible line: one rule, whatever the lines are, for the finished and for the running job."""

import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.job import PlannedFrame, Submission
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.rules.visible_line import VisibleLines
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.stored_records import write_records
from worker.context.job_records.visible_outcomes import find_visible_outcomes
from worker.finish.final_objects import FinalObjects, write_final_objects

JOB = "j" * 26
FRAMES = 4
NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 5, 999, 1000, -1, 10**12])
#: A line of a part: its frame, and whether it succeeded.
LINES = st.tuples(NUMBERS, st.booleans())
#: A part: its lines, and the frames refused in it; None: the ledger does not list it.
PARTS = st.tuples(st.lists(LINES, max_size=5), st.none() | st.frozensets(NUMBERS, max_size=4))

MASK = {
    "prompt": "a",
    "empty": False,
    "area_px": 4,
    "bbox": [0, 0, 2, 2],
    "components": 1,
    "mean_probability": 0.5,
    "rle": {"size": [8, 8], "counts": "0@"},
}
MEASURES = ["area_px", "bbox", "mean_probability", "centroid", "empty", "area_mm2", "prompt", "flags"]
FIELDS = ["frame", "masks", "timings_ms", "new"]
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, -1, 0, 1, 7, 10**30, 0.5, float("nan"), float("inf"), "", "held", [], [0, 0], [0, 0, 0, 0], {}, "\ud800"]
)


def chosen(parts: list[tuple[list[tuple[int, bool]], frozenset[int] | None]]) -> dict[int, bool]:
    """By the words of the design: the first listed line that is not refused; else a success, else a failure."""
    settled: dict[int, bool] = {}
    stray: dict[int, bool] = {}
    for lines, refused in parts:
        for frame, succeeded in lines:
            if not 0 <= frame < FRAMES:
                continue
            if refused is None:
                stray[frame] = stray.get(frame, False) or succeeded
            elif frame not in refused:
                settled.setdefault(frame, succeeded)
    return {**stray, **settled}


@given(st.lists(PARTS, max_size=6))
def test_the_visible_line_is_the_one_that_was_settled_and_else_a_success(parts: list[Any]):
    lines = VisibleLines(FRAMES)
    seen: dict[int, bool] = {}
    for listed in (True, False):
        for part, refused in parts:
            if (refused is not None) == listed:
                seen |= {
                    frame: succeeded
                    for frame, succeeded in part
                    if lines.offer(frame, succeeded=succeeded, refused=refused or (), listed=listed)
                }
    assert seen == chosen(parts)
    assert [frame for frame in range(-2, FRAMES + 2) if lines.decided(frame)] == sorted(seen)


def line_of(frame: int, **changed: Any) -> dict[str, Any]:
    return {"frame": frame, "item": frame, "index": 0, "state": "succeeded", "masks": [MASK], **changed}


HOSTILE = st.one_of(
    st.builds(line_of, NUMBERS, item=NUMBERS, index=NUMBERS),
    st.builds(line_of, NUMBERS, state=st.sampled_from(["failed", "skipped", "cancelled", "", None])),
    st.builds(line_of, NUMBERS, masks=st.lists(st.just(MASK), max_size=3)),
    st.builds(
        line_of,
        NUMBERS,
        masks=st.builds(
            lambda name, odd: [MASK, {**MASK, name: odd}],
            st.sampled_from(
                ["area_px", "bbox", "mean_probability", "centroid", "empty", "area_mm2", "prompt", "flags"]
            ),
            ODD,
        ),
    ),
    st.builds(line_of, NUMBERS, masks=st.builds(lambda odd: [{**MASK, "rle": {"size": odd, "counts": ""}}], ODD)),
    st.builds(lambda name, odd: {**line_of(0), name: odd}, st.sampled_from(FIELDS), ODD),
).map(json.dumps)
RAW = st.one_of(HOSTILE, st.sampled_from(["", "{", "null", "[" * 5000, "\x00", '{"frame": 0}'])).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


def finished(storage: FileStorage, listed: list[tuple[str, frozenset[int]]]) -> tuple[FinalObjects, list[ItemLine]]:
    now = datetime.now(UTC)
    submission = Submission(id=JOB, tenant="t", created_at=now, lane="bulk", outputs=(), total=FRAMES, fingerprint="")
    visible = find_visible_outcomes(storage, JOB, FRAMES, listed)
    made = write_final_objects(storage, submission, 1, visible, planned=True)
    for name in storage.list(keys.outcomes(JOB)):
        visible.lines_of(keys.part_of(name))
    return made, [ItemLine.model_validate_json(line) for line in storage.get(made.items.key).splitlines()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(RAW, max_size=4), st.none() | st.frozensets(NUMBERS, max_size=3)), max_size=3))
def test_no_line_stops_a_finish(parts: list[Any]):
    with TemporaryDirectory() as folder:
        storage = FileStorage(Path(folder))
        frames = [PlannedFrame(frame=n, item=n, source="s", size=1, sha256="", prompts=("a",)) for n in range(FRAMES)]
        write_records(storage, keys.frame_part(JOB, 0), frames)
        items = [PlannedItem(item=n, custom_id=str(n), first=n, frames=1) for n in range(FRAMES)]
        write_records(storage, keys.item_part(JOB, 0), items)
        listed = []
        for number, (lines, refused) in enumerate(parts):
            name = f"{number:016d}-0123abcd-{number:06d}"
            storage.create(keys.outcome_part(JOB, name), b"".join(line + b"\n" for line in lines))
            if refused is not None:
                listed.append((name, refused))
        listed.append((f"{99:016d}-0123abcd-000099", frozenset()))  # a part that was lost
        made, written = finished(storage, listed)
        assert made.frames.planned == made.counts.total == FRAMES
        assert [line.item for line in written] == list(range(FRAMES))
        assert [(one.frame, one.item, one.index) for line in written for one in line.outcomes] == [
            (n, n, 0) for n in range(FRAMES)
        ]
