"""Writes a finished job's outcomes in item order, with the place of each item, under a name of its own."""

import hashlib
import secrets
import struct
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from maskrelay.contract import keys
from maskrelay.contract.dead_letters import dead_letters
from maskrelay.contract.jobs import Counts, FinalObject, FlaggedItems, Frames, PlannedFrame, Submission
from maskrelay.contract.lines import ItemLine, flags_of, item_line
from maskrelay.contract.outcomes import Outcome
from maskrelay.contract.planned import PlannedItem
from maskrelay.rules.suspicion import judged
from maskrelay.rules.visible_line import placed
from maskrelay.storage.protocol import Storage
from maskrelay.storage.records import read_items
from worker.assembled import read_assembled
from worker.submissions import planned_items
from worker.visible import Visible

#: An item with its outcomes, and as much of its frames as was planned.
Line = tuple[ItemLine, list[PlannedFrame]]
#: An item of at most so many frames is held whole; of a larger one the run lengths are read again as it is written.
_HELD_FRAMES = 64


class FinalWriter:
    """One object under `final/`: its length and hash are known when it is whole. Left without `done`, it is aborted."""

    def __init__(self, storage: Storage, key: str) -> None:
        self.key = key
        self._writer = storage.writer(key)
        self._hash = hashlib.sha256()
        self.length = 0

    def write(self, piece: bytes) -> None:
        self._writer.write(piece)
        self._hash.update(piece)
        self.length += len(piece)

    def done(self) -> FinalObject:
        self._writer.commit()
        return FinalObject(key=self.key, length=self.length, sha256=self._hash.hexdigest())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.abort()


class Compacted:
    """What was written, and the counts that came out of it; `flags` counts masks.

    However it fails, nothing that it opened stays open. Raises StorageUnavailable, and ObjectMissing when the job is
    being removed.
    """

    def __init__(
        self, storage: Storage, submission: Submission, frame_parts: int, visible: Visible, *, planned: bool
    ) -> None:
        nonce = secrets.token_hex(8)
        self.flags: Counter[str] = Counter()
        with ExitStack() as opened:

            def writer(name: str) -> FinalWriter:
                return opened.enter_context(FinalWriter(storage, keys.final(submission.id, nonce, name)))

            lines = _planned_lines(storage, submission.id, frame_parts, visible)
            self._write(writer, lines if planned else _all_lines(storage, submission, lines), visible)

    def _write(self, writer: Callable[[str], FinalWriter], lines: Iterator[Line], visible: Visible) -> None:
        items, index = writer("items.ndjson"), writer("items.index")
        dead: FinalWriter | None = None
        item_states: Counter[str] = Counter()
        frame_states: Counter[str] = Counter()
        flagged: dict[str, Suspicions] = defaultdict(Suspicions)
        for line, planned_frames in lines:
            index.write(struct.pack(">Q", items.length))
            for piece in _pieces(line, visible):
                items.write(piece)
            item_states[line.state] += 1
            frame_states.update(outcome.state for outcome in line.outcomes)
            flags = flags_of(line)
            self.flags.update(flags)
            for letter in dead_letters(line, planned_frames):
                dead = dead or writer("dead.ndjson")
                dead.write(letter.model_dump_json(exclude_defaults=True).encode() + b"\n")
            for flag in set(flags):
                flagged[flag].add(line.item, line.suspicion)
        self.items, self.index = items.done(), index.done()
        self.parts = _parts(writer("parts.txt"), visible)
        self.dead = dead.done() if dead else None
        self.flagged = _flagged(writer("flagged.ndjson"), flagged) if flagged else None
        self.counts = Counts(total=item_states.total(), **item_states)
        self.frames = Frames(planned=frame_states.total(), **frame_states)


class Suspicions:
    """Items with their suspicion, 16 bytes each."""

    def __init__(self) -> None:
        self._items = array("q")
        self._suspicions = array("d")

    def add(self, item: int, suspicion: float) -> None:
        self._items.append(item)
        self._suspicions.append(suspicion)

    def most_suspicious_first(self) -> tuple[int, ...]:
        """The items; of two that are as suspicious, the one with the smaller number first."""
        order = sorted(range(len(self._items)), key=lambda at: (-self._suspicions[at], self._items[at]))
        return tuple(self._items[at] for at in order)


def _pieces(line: ItemLine, visible: Visible) -> Iterator[bytes]:
    """The line as JSON, outcome by outcome, each with the run lengths that `_without_runs` took from it."""
    if len(line.outcomes) <= _HELD_FRAMES:
        yield line.model_dump_json(exclude_none=True).encode() + b"\n"
        return
    yield line.model_dump_json(exclude_none=True, exclude={"outcomes"}).encode()[:-1] + b',"outcomes":['
    parting = b""
    for one in line.outcomes:
        outcome = visible.outcome(one.frame)
        yield parting + (_flagged_as(one, outcome) if outcome else one).model_dump_json(exclude_none=True).encode()
        parting = b","
    yield b"]}\n"


def _without_runs(outcome: Outcome) -> Outcome:
    """The outcome as flags are made of it: all of a large item's run lengths would not fit in memory."""
    masks = (
        mask.model_copy(update={"rle": mask.rle.model_copy(update={"counts": ""}), "label_rle": None})
        for mask in outcome.masks
    )
    return outcome.model_copy(update={"masks": tuple(masks)})


def _flagged_as(judged_one: Outcome, outcome: Outcome) -> Outcome:
    """The outcome as it was read back, with the place and the flags of the one that was judged."""
    pairs = zip(outcome.masks, judged_one.masks, strict=True)
    masks = tuple(mask.model_copy(update={"flags": one.flags}) for mask, one in pairs)
    return outcome.model_copy(update={"masks": masks, "item": judged_one.item, "index": judged_one.index})


def _parts(writer: FinalWriter, visible: Visible) -> FinalObject:
    writer.write("".join(f"{name}\n" for name in visible.counted()).encode())
    return writer.done()


def _flagged(writer: FinalWriter, flagged: dict[str, Suspicions]) -> FinalObject:
    for flag, items in sorted(flagged.items()):
        line = FlaggedItems(flag=flag, items=items.most_suspicious_first())
        writer.write(line.model_dump_json().encode() + b"\n")
    return writer.done()


def _planned_lines(storage: Storage, job: str, frame_parts: int, visible: Visible) -> Iterator[Line]:
    """Every planned item with the outcome of each of its frames; what was never done is cancelled."""
    for item, frames in planned_items(storage, job, frame_parts):
        outcomes = [_outcome(item, frame, visible) for frame in frames]
        outcomes += [_cancelled(item, index) for index in range(len(frames), item.frames)]
        line = item_line(item, tuple(outcomes), read_assembled(storage, job, item))
        yield judged(line, visible.sizes), frames


def _outcome(item: PlannedItem, frame: PlannedFrame, visible: Visible) -> Outcome:
    found = visible.outcome(frame.frame)
    if found is None:
        return _cancelled(item, frame.index)
    return placed(found if item.frames <= _HELD_FRAMES else _without_runs(found), item)


def _all_lines(storage: Storage, submission: Submission, lines: Iterator[Line]) -> Iterator[Line]:
    """The planned items, then what was submitted and not planned any more, as the job was cancelled before."""
    number, planned = 0, set[str]()
    for line, frames in lines:
        planned |= {line.custom_id, *line.members}
        number = line.item + 1
        yield line, frames
    for asked in read_items(storage, submission):
        called = [asked.custom_id] if asked.only is None else asked.only.values()
        for custom_id in (one for one in called if one not in planned):
            never = PlannedItem(item=number, custom_id=custom_id, source_name=asked.source_name, first=0, frames=0)
            yield item_line(never, ()), []
            number += 1


def _cancelled(item: PlannedItem, index: int) -> Outcome:
    return Outcome(frame=item.first + index, item=item.item, index=index, state="cancelled")
