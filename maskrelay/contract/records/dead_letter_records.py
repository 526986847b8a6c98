"""Dead letters, the frames that ended in a coded error: as stored with a finished job, and as returned over HTTP."""

from collections.abc import Iterator, Sequence

from maskrelay.contract.record import (
    Amount,
    Failure,
    Number,
    Record,
)
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.job import PlannedFrame


class DeadLetter(Record):
    """A failed frame of a finished job: frame `index` of item `item`, with what is needed to redrive it."""

    frame: Number
    item: Number
    index: Number = 0
    custom_id: str
    error: Failure
    attempts: int = 1
    #: The storage key of the upload that it was read from.
    source: str
    #: The offset of its member in a zip; None outside a zip, or if the zip itself could not be read.
    offset: Amount | None = None


def dead_letters(line: ItemLine, frames: Sequence[PlannedFrame]) -> Iterator[DeadLetter]:
    """Yield the failed frames of an item. `frames`: its planned frames, in the order of its outcomes."""
    for outcome, planned in zip(line.outcomes, frames, strict=False):  # a frame that was never planned did not fail
        if outcome.state == "failed" and outcome.error is not None:
            yield DeadLetter(
                frame=outcome.frame,
                item=line.item,
                index=outcome.index,
                custom_id=line.custom_id,
                error=outcome.error,
                attempts=outcome.attempts,
                source=planned.source,
                offset=planned.extent.offset if planned.extent else None,
            )
