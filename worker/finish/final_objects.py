"""The final objects of a job: items with outcomes, their index, dead letters, flagged items and outcome part names.

Each attempt at finishing the job gives its final objects new names.
"""

import secrets
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np

from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import item_line
from maskrelay.contract.records.job import (
    FRAMES_PER_PART,
    Counts,
    FinalObject,
    FlaggedItems,
    Frames,
    PlannedFrame,
    Submission,
)
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.contract.records.runs import ChunkStart
from maskrelay.contract.records.stretches import Stretch
from maskrelay.errors import ObjectMissing
from maskrelay.rules.suspicion import judged
from maskrelay.rules.visible_line import placed
from maskrelay.storage.protocol import Storage
from maskrelay.storage.submitted_items import read_items, read_start
from worker.context.job_records.plans import planned_items, read_assembled, read_item_part
from worker.context.job_records.visible_outcomes import VisibleOutcomes
from worker.context.read_ahead import ahead
from worker.context.turn import ENDLESS, TimeIsUp, Turn
from worker.finish.stretch_writer import (
    HELD_FRAMES,
    Line,
    StretchWriter,
    write_stretch,
)

#: The number of plan parts in a stretch. If finishing is interrupted, only the current stretch must be written again.
STRETCH_PARTS = 10


@dataclass(frozen=True, slots=True)
class FinalObjects:
    """References to the final objects of a job, and counts of their contents."""

    items: FinalObject
    index: FinalObject
    #: None if no frame failed.
    dead: FinalObject | None
    parts: FinalObject
    #: None if no mask is flagged.
    flagged: FinalObject | None
    #: The number of masks by flag.
    flags: Counter[str]
    counts: Counts
    frames: Frames


def write_final_objects(
    storage: Storage,
    submission: Submission,
    frame_parts: int,
    visible: VisibleOutcomes,
    *,
    planned: bool,
    turn: Turn = ENDLESS,
    between: Callable[[], None] = lambda: None,
) -> FinalObjects:
    """Write the final objects of a job.

    A large job is written in stretches, which are kept in storage. A later attempt continues after the last stored
    stretch. At the end, the stretches are joined: their contents are copied into one object, and `between` is called
    before each stretch is copied. Raises TimeIsUp if `turn` is over after a stretch that is not the last one. Raises
    StorageUnavailable, and ObjectMissing if the job is being removed. After an error, no writer stays open.
    """
    return _FinalObjectsWriter(storage, submission, frame_parts, visible, planned=planned, between=between).write(turn)


class _FinalObjectsWriter:
    def __init__(
        self,
        storage: Storage,
        submission: Submission,
        frame_parts: int,
        visible: VisibleOutcomes,
        *,
        planned: bool,
        between: Callable[[], None],
    ) -> None:
        self._storage = storage
        self._submission = submission
        self._frame_parts = frame_parts
        self._visible = visible
        self._planned = planned
        self._between = between
        self._nonce = secrets.token_hex(8)

    def write(self, turn: Turn) -> FinalObjects:
        if self._frame_parts <= STRETCH_PARTS:
            lines = self._lines(0, self._frame_parts)
            stretches = [write_stretch(self._storage, self._final, lines, self._visible)]
            items, index, dead = stretches[0].lines, stretches[0].index, stretches[0].dead
        else:
            stretches = self._stretches(turn)
            items = self._joined("items.ndjson", [stretch.lines for stretch in stretches])
            index = self._index(stretches)
            failed = [stretch.dead for stretch in stretches if stretch.dead is not None]
            dead = self._joined("dead.ndjson", failed) if failed else None
        parts = self._text("parts.txt", "".join(f"{name}\n" for name in self._visible.counted()).encode())
        flagged = _flagged(stretches)
        states, frames = _sum(stretch.items for stretch in stretches), _sum(stretch.frames for stretch in stretches)
        return FinalObjects(
            items=items,
            index=index,
            dead=dead,
            parts=parts,
            flagged=self._text("flagged.ndjson", flagged) if flagged else None,
            flags=_sum(stretch.flags for stretch in stretches),
            counts=Counts(total=states.total(), **states),
            frames=Frames(planned=frames.total(), **frames),
        )

    def _final(self, name: str) -> str:
        return keys.final(self._submission.id, self._nonce, name)

    def _lines(self, begin: int, end: int) -> Iterator[Line]:
        """Return the lines of the items that begin in the parts `begin` … `end - 1` of the plan.

        If the last part is among them and the plan is incomplete, also return the lines of the items that were never
        planned.
        """
        storage, submission = self._storage, self._submission
        planned = _planned_lines(storage, submission.id, begin, end, self._frame_parts, self._visible)
        if self._planned or end < self._frame_parts:
            return planned
        return chain(planned, _lines_never_planned(storage, submission, self._frame_parts))

    def _stretches(self, turn: Turn) -> list[Stretch]:
        stretches: list[Stretch] = []
        for number, begin in enumerate(range(0, self._frame_parts, STRETCH_PARTS)):
            stretch = self._kept(number)
            if stretch is None:
                stretch = self._written(number, begin, end := min(begin + STRETCH_PARTS, self._frame_parts))
                if end < self._frame_parts and turn.is_over():
                    raise TimeIsUp
            stretches.append(stretch)
        return stretches

    def _key(self, number: int, kind: str) -> str:
        return keys.unfinished_object(self._submission.id, self._visible.name, keys.stretch(number, kind))

    def _kept(self, number: int) -> Stretch | None:
        """Return the record of the stretch if an earlier attempt has written the stretch, otherwise None."""
        with suppress(ObjectMissing):
            return Stretch.model_validate_json(self._storage.get(self._key(number, "json")))
        return None

    def _written(self, number: int, begin: int, end: int) -> Stretch:
        lines = self._lines(begin, end)
        stretch = write_stretch(self._storage, partial(self._key, number), lines, self._visible)
        self._storage.put(self._key(number, "json"), stretch.model_dump_json().encode(), "application/json")
        return stretch

    def _joined(self, name: str, pieces: list[FinalObject]) -> FinalObject:
        with StretchWriter.open(self._storage, self._final(name)) as writer:
            for piece in pieces:
                self._between()
                with closing(self._storage.stream(piece.key)) as chunks:
                    for chunk in chunks:
                        writer.write(chunk)
            return writer.done()

    def _index(self, stretches: list[Stretch]) -> FinalObject:
        """Write the offset of each line in the joined object. It is computed from the line's offset in its stretch."""
        with StretchWriter.open(self._storage, self._final("items.index")) as writer:
            before = 0
            for stretch in stretches:
                begins = np.frombuffer(self._storage.get(stretch.index.key), ">u8")
                writer.write((begins + np.uint64(before)).astype(">u8").tobytes())
                before += stretch.lines.length
            return writer.done()

    def _text(self, name: str, text: bytes) -> FinalObject:
        with StretchWriter.open(self._storage, self._final(name)) as writer:
            writer.write(text)
            return writer.done()


def _planned_lines(
    storage: Storage, job: str, begin: int, end: int, parts: int, visible: VisibleOutcomes
) -> Iterator[Line]:
    """Yield the lines of the items that begin in the parts `begin` … `end - 1`, with the outcomes of their frames.

    `parts` is the number of parts of the plan. A frame without an outcome counts as cancelled.
    """
    for item, frames in planned_items(storage, job, parts, begin, end):
        outcomes = [_outcome(item, frame, visible) for frame in frames]
        outcomes += [_cancelled(item, index) for index in range(len(frames), item.frames)]
        line = item_line(item, tuple(outcomes), read_assembled(storage, job, item))
        yield judged(line, visible.sizes), frames


def _outcome(item: PlannedItem, frame: PlannedFrame, visible: VisibleOutcomes) -> Outcome:
    found = visible.outcome(frame.frame)
    if found is None:
        return _cancelled(item, frame.index)
    return placed(found if item.frames <= HELD_FRAMES else _without_runs(found), item)


def _lines_never_planned(storage: Storage, submission: Submission, parts: int) -> Iterator[Line]:
    """Yield the lines of the submitted items that are not in the plan.

    The job was cancelled before these items were planned.
    """
    job, planned = submission.id, set[str]()
    start = ChunkStart(chunk=0, item=0, frame=0)
    if submission.run is not None:  # every item of an earlier chunk is in the plan
        start = read_start(storage, job, parts * FRAMES_PER_PART)
    number = start.item
    for items in ahead(lambda part: read_item_part(storage, job, part), range(start.frame // FRAMES_PER_PART, parts)):
        for item in items:
            planned |= {item.custom_id, *item.members}
            number = item.item + 1
    for asked in read_items(storage, submission, start.chunk):
        called = [asked.custom_id] if asked.only is None else asked.only.values()
        for custom_id in (candidate for candidate in called if candidate not in planned):
            name = submission.shown_name(asked, asked.source_name)
            never = PlannedItem(item=number, custom_id=custom_id, source_name=name, first=0, frames=0)
            yield item_line(never, ()), []
            number += 1


def _cancelled(item: PlannedItem, index: int) -> Outcome:
    return Outcome(frame=item.first + index, item=item.item, index=index, state="cancelled")


def _without_runs(outcome: Outcome) -> Outcome:
    """Return the outcome without the run lengths of its masks.

    The run lengths are not needed for the flags, and the run lengths of a large item would not fit into memory.
    """
    masks = (
        mask.model_copy(update={"rle": mask.rle.model_copy(update={"counts": ""}), "label_rle": None})
        for mask in outcome.masks
    )
    return outcome.model_copy(update={"masks": tuple(masks)})


def _sum(counts: Iterable[dict[str, int]]) -> Counter[str]:
    total = Counter[str]()
    for part in counts:
        total.update(part)
    return total


def _flagged(stretches: list[Stretch]) -> bytes:
    """Return one line for each flag. The items in a line are ordered by suspicion, highest first, then by number."""
    items: dict[str, array[int]] = defaultdict(lambda: array("q"))
    suspicions: dict[str, array[float]] = defaultdict(lambda: array("d"))
    for stretch in stretches:
        for flag in stretch.flagged:
            items[flag].extend(stretch.flagged[flag])
            suspicions[flag].extend(stretch.suspicions[flag])
    text = b""
    for flag in sorted(items):
        order = np.lexsort((numbers := np.frombuffer(items[flag], np.int64), -np.frombuffer(suspicions[flag])))
        line = FlaggedItems(flag=flag, items=tuple(numbers[order].tolist()))
        text += line.model_dump_json().encode() + b"\n"
    return text
