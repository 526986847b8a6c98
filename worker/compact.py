"""Writes a finished job's outcomes in item order, with the place of each item, under a name of its own."""

import hashlib
import secrets
import struct
from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from maskrelay.contract import keys
from maskrelay.contract.jobs import Counts, FinalObject, Frames, PlannedFrame, Submission
from maskrelay.contract.lines import ItemLine, item_line
from maskrelay.contract.outcomes import Outcome
from maskrelay.storage.protocol import Storage
from worker.submissions import read_frame_part, read_items
from worker.visible import Visible


class FinalWriter:
    """One object under `final/`: its length and hash are known when it is whole."""

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


class Compacted:
    """What was written, and the counts that came out of it."""

    def __init__(self, storage: Storage, submission: Submission, frame_parts: int, visible: Visible) -> None:
        nonce = secrets.token_hex(8)
        items = FinalWriter(storage, keys.final(submission.id, nonce, "items.ndjson"))
        index = FinalWriter(storage, keys.final(submission.id, nonce, "items.index"))
        item_states: Counter[str] = Counter()
        frame_states: Counter[str] = Counter()
        for line in _item_lines(storage, submission, frame_parts, visible):
            index.write(struct.pack(">Q", items.length))
            items.write(line.model_dump_json(exclude_none=True).encode() + b"\n")
            item_states[line.state] += 1
            frame_states.update(outcome.state for outcome in line.outcomes)
        self.items, self.index = items.done(), index.done()
        self.counts = Counts(total=submission.total, **item_states)
        self.frames = Frames(planned=frame_states.total(), **frame_states)


def _item_lines(storage: Storage, submission: Submission, frame_parts: int, visible: Visible) -> Iterator[ItemLine]:
    """Every item with the outcome of each of its frames; what was never done is cancelled."""
    planned = (frame for part in range(frame_parts) for frame in read_frame_part(storage, submission.id, part))
    by_item = groupby(planned, key=lambda frame: frame.item)
    number, frames = next(by_item, (-1, iter(())))
    for place, item in enumerate(read_items(storage, submission)):
        outcomes: tuple[Outcome, ...] = ()
        if place == number:
            outcomes = tuple(visible.outcome(frame.frame) or _cancelled(frame) for frame in frames)
            number, frames = next(by_item, (-1, iter(())))
        yield item_line(place, item.custom_id, item.source_name, outcomes)


def _cancelled(frame: PlannedFrame) -> Outcome:
    return Outcome(frame=frame.frame, item=frame.item, index=frame.index, state="cancelled")
