"""A large job is finished in turns: each goes on where the last one ended, and the result is the same."""

import tracemalloc
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import worker.context.line_spool
import worker.finish.final_objects
from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import (
    FRAMES_PER_PART,
    FinalObject,
    Item,
    PlannedFrame,
    Submission,
)
from maskrelay.contract.records.outcomes import MaskOutcome, Outcome, Rle
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.stored_records import write_records
from tests.support.counted_storage import CountedStorage
from worker.context.job_records.visible_outcomes import find_visible_outcomes
from worker.context.turn import TimeIsUp, Turn
from worker.finish.final_objects import FinalObjects, write_final_objects

JOB = "j" * 26
FRAMES = 2500
CHILDREN, LINES = 64, 10


def outcomes_read(storage: CountedStorage) -> Counter[str]:
    return Counter({key: count for key, count in storage.read.items() if key.startswith(keys.outcomes(JOB))})


def outcome(frame: int, item: PlannedItem) -> Outcome:
    place = {"frame": frame, "item": item.item, "index": frame - item.first}
    if frame % 50 == 7:
        return Outcome(**place, state="failed", error=Failure(code="truncated", detail="It ends."))
    mask = MaskOutcome(
        prompt="a",
        empty=False,
        area_px=390 if frame % 41 == 0 else 10 + frame % 7,
        bbox=(1, 1, 9, 9),
        components=1,
        mean_probability=0.5,
        rle=Rle(size=(20, 20), counts=f"{frame}"),
        flags=("touches_border",) if frame % 3 else (),
    )
    return Outcome(**place, state="succeeded", masks=(mask,))


def planned() -> list[PlannedItem]:
    """Pictures, and two volumes of which one lies across three parts of the plan."""
    items, first = [], 0
    for frames in [1] * 990 + [1200] + [1] * 10 + [100] + [1] * 200:
        items.append(PlannedItem(item=len(items), custom_id=str(len(items)), first=first, frames=frames))
        first += frames
    assert first == FRAMES
    return items


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CountedStorage:
    """A job whose outcomes were written by many children side by side."""
    monkeypatch.setattr(worker.finish.final_objects, "STRETCH_PARTS", 1)
    inner, items = FileStorage(tmp_path), planned()
    owner = {frame: item for item in items for frame in range(item.first, item.first + item.frames)}
    for part in range(3):
        numbers = range(part * FRAMES_PER_PART, min(FRAMES, (part + 1) * FRAMES_PER_PART))
        write_records(inner, keys.item_part(JOB, part), [item for item in items if item.first in numbers])
        frames = [
            PlannedFrame(
                frame=n, item=owner[n].item, index=n - owner[n].first, source="s", size=1, sha256="", prompts=("a",)
            )
            for n in numbers
        ]
        write_records(inner, keys.frame_part(JOB, part), frames)
    for number, (name, _) in enumerate(LISTED):
        mine = range(number % CHILDREN + number // CHILDREN * CHILDREN * LINES, FRAMES, CHILDREN)
        lines = [outcome(frame, owner[frame]) for frame in mine[:LINES]]
        body = b"".join(line.model_dump_json(exclude_none=True).encode() + b"\n" for line in lines)
        inner.create(keys.outcome_part(JOB, name), body)
    return CountedStorage(inner)


LISTED = [
    (f"{number:016d}-{number % CHILDREN:08x}-{number:06d}", frozenset[int]())
    for number in range(-(-FRAMES // (CHILDREN * LINES)) * CHILDREN)
]


def submission(total: int = 1210) -> Submission:
    items = tuple(Item(source="s", size=1, sha256="", custom_id=str(number), prompts=("a",)) for number in range(total))
    now = datetime.now(UTC)
    return Submission(
        id=JOB, tenant="t", created_at=now, lane="bulk", outputs=(), total=total, items=items, fingerprint=""
    )


def written(storage: Any, made: FinalObjects) -> dict[str, Any]:
    def body(one: FinalObject | None) -> bytes:
        assert one is not None
        assert len(storage.get(one.key)) == one.length
        return storage.get(one.key)

    objects = {name: body(getattr(made, name)) for name in ("items", "index", "dead", "flagged", "parts")}
    return {**objects, "counts": made.counts, "frames": made.frames, "flags": made.flags}


def in_one_go(storage: Any, monkeypatch: pytest.MonkeyPatch, *, is_planned: bool = True) -> dict[str, Any]:
    with monkeypatch.context() as other, closing(find_visible_outcomes(storage, JOB, FRAMES, LISTED)) as visible:
        other.setattr(worker.finish.final_objects, "STRETCH_PARTS", 10)
        return written(storage, write_final_objects(storage, submission(), 3, visible, planned=is_planned))


def turns(storage: Any, *, is_planned: bool = True) -> tuple[dict[str, Any], int]:
    """What came of turns that are over as soon as something was done in them, and how many there were."""
    states: dict[str, bytes] = {}
    for number in range(1, 1000):
        turn = Turn(0.0)
        with closing(find_visible_outcomes(storage, JOB, FRAMES, LISTED, turn=turn, saved=states.get)) as visible:
            if not visible.complete:
                states = {visible.name: visible.state()}
                continue
            try:
                made = write_final_objects(storage, submission(), 3, visible, planned=is_planned, turn=turn)
            except TimeIsUp:
                states = {visible.name: visible.state()}
                continue
            return written(storage, made), number
    raise AssertionError


@pytest.mark.parametrize("is_planned", [True, False])
def test_turns_come_to_the_same_result_as_one_go(
    storage: CountedStorage, monkeypatch: pytest.MonkeyPatch, is_planned: bool
):
    whole = in_one_go(storage, monkeypatch, is_planned=is_planned)
    assert whole["frames"].failed == 50
    assert whole["counts"].total == (1202 if is_planned else 1210)
    made, number = turns(storage, is_planned=is_planned)
    assert number > 3
    assert made == whole


def test_each_part_is_read_once_in_one_go_and_stretches_are_not_written_again(
    storage: CountedStorage, monkeypatch: pytest.MonkeyPatch
):
    with closing(find_visible_outcomes(storage, JOB, FRAMES, LISTED)) as visible:
        made = write_final_objects(storage, submission(), 3, visible, planned=True)
        assert set(outcomes_read(storage).values()) == {1}
        again = write_final_objects(storage, submission(), 3, visible, planned=True)
    assert set(outcomes_read(storage).values()) == {1}
    assert written(storage, again) == written(storage, made)


def test_others_pass_between_the_stretches_that_are_joined(storage: CountedStorage):
    passed: list[int] = []

    def between() -> None:
        kept = [key for key in storage.list(keys.unfinished(JOB)) if key.endswith(".json")]
        passed.append(len(kept))

    with closing(find_visible_outcomes(storage, JOB, FRAMES, LISTED)) as visible:
        write_final_objects(storage, submission(), 3, visible, planned=True, between=between)
    assert len(passed) >= 2 * 2  # before each stretch of the items, and of the dead letters
    assert set(passed) == {3}  # every stretch was written before


def test_another_choice_of_lines_goes_on_from_nothing(storage: CountedStorage):
    refused = [(LISTED[0][0], frozenset({0})), *LISTED[1:]]
    names = set()
    for frames, listed in ((FRAMES, LISTED), (FRAMES, refused), (FRAMES - 1, LISTED), (FRAMES, LISTED[:-1])):
        with closing(find_visible_outcomes(storage, JOB, frames, listed)) as visible:
            names.add(visible.name)
    assert len(names) == 4


def test_lines_that_the_spool_does_not_take_are_read_from_their_parts_once_more(
    storage: CountedStorage, monkeypatch: pytest.MonkeyPatch
):
    whole = in_one_go(storage, monkeypatch)
    storage.read.clear()
    with closing(find_visible_outcomes(storage, JOB, FRAMES, LISTED, spool_bytes=100_000)) as visible:
        made = write_final_objects(storage, submission(), 3, visible, planned=True)
    assert written(storage, made) == whole
    assert 1 < max(outcomes_read(storage).values()) <= 2


def test_lines_are_found_again_in_the_temporary_file(storage: CountedStorage, monkeypatch: pytest.MonkeyPatch):
    whole = in_one_go(storage, monkeypatch)
    monkeypatch.setattr(worker.context.line_spool, "MEMORY_BYTES", 10_000)
    storage.read.clear()
    with closing(find_visible_outcomes(storage, JOB, FRAMES, LISTED)) as visible:
        assert written(storage, write_final_objects(storage, submission(), 3, visible, planned=True)) == whole
    assert set(outcomes_read(storage).values()) == {1}


def test_memory_is_bounded_with_many_children(storage: CountedStorage, monkeypatch: pytest.MonkeyPatch):
    """Lines are set aside in a file, so that they need not fit into memory: here they are sixty megabytes."""
    monkeypatch.setattr(worker.context.line_spool, "MEMORY_BYTES", 100_000)
    long = Rle(size=(20, 20), counts="0@" * 12_000)
    owner = {frame: item for item in planned() for frame in range(item.first, item.first + item.frames)}
    for number, (name, _) in enumerate(LISTED):
        mine = range(number % CHILDREN + number // CHILDREN * CHILDREN * LINES, FRAMES, CHILDREN)
        lines = []
        for frame in mine[:LINES]:
            known = outcome(frame, owner[frame])
            masks = tuple(mask.model_copy(update={"rle": long}) for mask in known.masks)
            lines.append(known.model_copy(update={"masks": masks}))
        body = b"".join(line.model_dump_json(exclude_none=True).encode() + b"\n" for line in lines)
        storage.put(keys.outcome_part(JOB, name), body)
    tracemalloc.start()
    try:
        with closing(find_visible_outcomes(storage, JOB, FRAMES, LISTED)) as visible:
            write_final_objects(storage, submission(), 3, visible, planned=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert set(outcomes_read(storage).values()) == {1}
    assert peak < 20 << 20
