"""The final line of an item: what its frames' parts say, and the flags that only the whole of it can tell."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.job import Counts, PlannedFrame, Submission
from maskrelay.contract.records.outcomes import MaskOutcome, Outcome, Rle
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.stored_records import write_records
from worker.context.job_records.visible_outcomes import find_visible_outcomes
from worker.finish.final_objects import FinalObjects, write_final_objects

JOB = "j" * 32


def mask(prompt: str, area: int, run: str) -> MaskOutcome:
    return MaskOutcome(
        prompt=prompt,
        empty=area == 0,
        area_px=area,
        bbox=(1, 1, 9, 9) if area else None,
        components=1,
        mean_probability=0.5,
        rle=Rle(size=(20, 20), counts=run),
        label_rle=Rle(size=(20, 20), counts="L" + run),
        flags=("touches_border",),
    )


def outcome(frame: int, areas: tuple[int, int] = (80, 80)) -> Outcome:
    masks = tuple(mask(prompt, area, f"{prompt}{frame}") for prompt, area in zip("ab", areas, strict=True))
    return Outcome(frame=frame, item=0, index=frame, state="succeeded", masks=masks)


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path)


def compacted(storage: FileStorage, frames: int, outcomes: list[Outcome]) -> tuple[FinalObjects, list[ItemLine]]:
    planned = [
        PlannedFrame(frame=n, item=0, index=n, of=frames, source="s", size=1, sha256="", prompts=("a", "b"))
        for n in range(frames)
    ]
    write_records(storage, keys.frame_part(JOB, 0), planned)
    write_records(storage, keys.item_part(JOB, 0), [PlannedItem(item=0, custom_id="0", first=0, frames=frames)])
    half = len(outcomes) // 2
    for part, some in (("late", outcomes[half:]), ("early", outcomes[:half])):
        write_records(storage, keys.outcome_part(JOB, part), some)
    now = datetime.now(UTC)
    submission = Submission(id=JOB, tenant="t", created_at=now, lane="bulk", outputs=(), total=1, fingerprint="")
    visible = find_visible_outcomes(storage, JOB, frames, [("late", frozenset()), ("early", frozenset())])
    made = write_final_objects(storage, submission, 1, visible, planned=True)
    return made, [ItemLine.model_validate_json(line) for line in storage.get(made.items.key).splitlines()]


def test_every_outcome_is_there_as_its_part_has_it_run_lengths_and_all(storage: FileStorage):
    outcomes = [outcome(n) for n in range(5)]
    made, [line] = compacted(storage, 5, outcomes)
    assert line.outcomes == tuple(outcomes)
    assert (line.state, made.counts) == ("succeeded", Counts(total=1, succeeded=1))


def test_a_flag_that_neighbours_tell_is_on_its_mask_alone_which_keeps_its_run_lengths(storage: FileStorage):
    outcomes = [outcome(0), outcome(1), outcome(2, (80, 0)), outcome(3), outcome(4)]
    made, [line] = compacted(storage, 5, outcomes)
    flagged = {(one.index, found.prompt): found for one in line.outcomes for found in one.masks if len(found.flags) > 1}
    assert {place: found.flags for place, found in flagged.items()} == {
        (2, "b"): ("touches_border", "neighbours_disagree")
    }
    assert flagged[2, "b"].rle.counts == "b2"
    assert made.flags == {"touches_border": 10, "neighbours_disagree": 1}


def test_a_frame_that_was_never_done_is_cancelled(storage: FileStorage):
    _, [line] = compacted(storage, 3, [outcome(0), outcome(1)])
    assert [one.state for one in line.outcomes] == ["succeeded", "succeeded", "cancelled"]
    assert line.state == "partial"
