"""The writing of one stretch of a finished job.

A stretch contains the lines of the items that begin in several consecutive parts of the plan.
"""

import hashlib
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from maskrelay.contract.records.dead_letter_records import dead_letters
from maskrelay.contract.records.item_lines import ItemLine, flags_of
from maskrelay.contract.records.job import ANY_FLAG, FinalObject, PlannedFrame
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.contract.records.stretches import Stretch
from maskrelay.storage.protocol import CHUNK_BYTES, Storage, Writer
from worker.context.job_records.visible_outcomes import VisibleOutcomes

#: An item with its outcomes, and the planned frames of this item.
Line = tuple[ItemLine, list[PlannedFrame]]
#: An item with at most this many frames is in memory as a whole until it is written. For a larger item, the run lengths
#: of the masks are not kept, and are read again when the item is written.
HELD_FRAMES = 64


class StretchWriter:
    """A writer of one object, which also computes the length and the hash of the object.

    If `done` is not called, nothing is stored.
    """

    def __init__(self, key: str, writer: Writer) -> None:
        self.key = key
        self._writer = writer
        self._hash = hashlib.sha256()
        self._held = bytearray()
        self.length = 0

    @classmethod
    def open(cls, storage: Storage, key: str) -> Self:
        return cls(key, storage.writer(key))

    def write(self, piece: bytes) -> None:
        self._held += piece
        self.length += len(piece)
        if len(self._held) >= CHUNK_BYTES:
            self._pass_on()

    def _pass_on(self) -> None:
        chunk = bytes(self._held)
        self._held.clear()
        self._hash.update(chunk)
        self._writer.write(chunk)

    def done(self) -> FinalObject:
        self._pass_on()
        self._writer.commit()
        return FinalObject(key=self.key, length=self.length, sha256=self._hash.hexdigest())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.abort()


def write_stretch(
    storage: Storage, key_of: Callable[[str], str], lines: Iterator[Line], visible: VisibleOutcomes
) -> Stretch:
    """Write the objects of a stretch, `items.ndjson`, `items.index` and `dead.ndjson`.

    `dead.ndjson` is written only if a frame failed. `key_of` returns the key for each of these names. Raises
    StorageUnavailable, and ObjectMissing if the job is being removed. After an error, no writer stays open.
    """
    states, frames, flags = Counter[str](), Counter[str](), Counter[str]()
    flagged: dict[str, list[int]] = defaultdict(list)
    suspicions: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as opened:
        items, index = (
            opened.enter_context(StretchWriter.open(storage, key_of(name))) for name in ("items.ndjson", "items.index")
        )
        dead: StretchWriter | None = None
        for line, planned_frames in lines:
            index.write(struct.pack(">Q", items.length))
            for piece in _pieces(line, visible):
                items.write(piece)
            states[line.state] += 1
            frames.update(outcome.state for outcome in line.outcomes)
            for letter in dead_letters(line, planned_frames):
                dead = dead or opened.enter_context(StretchWriter.open(storage, key_of("dead.ndjson")))
                dead.write(letter.model_dump_json(exclude_defaults=True).encode() + b"\n")
            found = flags_of(line)
            flags.update(found)
            for flag in {*found, ANY_FLAG} if found else ():
                flagged[flag].append(line.item)
                suspicions[flag].append(line.suspicion)
        return Stretch(
            lines=items.done(),
            index=index.done(),
            dead=dead.done() if dead else None,
            items=states,
            frames=frames,
            flags=flags,
            flagged=flagged,
            suspicions=suspicions,
        )


def _pieces(line: ItemLine, visible: VisibleOutcomes) -> Iterator[bytes]:
    """Yield the line as JSON.

    The outcomes of a large item are read again and yielded one by one, because `_without_runs` removed their run
    lengths.
    """
    if len(line.outcomes) <= HELD_FRAMES:
        yield line.model_dump_json(exclude_none=True).encode() + b"\n"
        return
    yield line.model_dump_json(exclude_none=True, exclude={"outcomes"}).encode()[:-1] + b',"outcomes":['
    parting = b""
    for kept in line.outcomes:
        outcome = visible.outcome(kept.frame)
        yield parting + (_flagged_as(kept, outcome) if outcome else kept).model_dump_json(exclude_none=True).encode()
        parting = b","
    yield b"]}\n"


def _flagged_as(judged_one: Outcome, outcome: Outcome) -> Outcome:
    """Return the outcome that was read from storage, with the item, index and flags of the outcome that was judged."""
    pairs = zip(outcome.masks, judged_one.masks, strict=True)
    masks = tuple(mask.model_copy(update={"flags": judged_mask.flags}) for mask, judged_mask in pairs)
    return outcome.model_copy(update={"masks": masks, "item": judged_one.item, "index": judged_one.index})
