"""The record of a dead letter, which is a failed frame of a finished job."""

from collections.abc import Iterator, Sequence

from maskrelay.contract.record import (
    Amount,
    Failure,
    Number,
    Record,
)
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.job import PlannedFrame
from maskrelay.contract.records.source_pins import Pin


class DeadLetter(Record):
    """A failed frame of a finished job, with the information that a redrive needs."""

    #: The number of the frame within the job.
    frame: Number
    #: The number of the frame's item within the job.
    item: Number
    #: The number of the frame within its item.
    index: Number = 0
    custom_id: str
    error: Failure
    attempts: int = 1
    #: The storage key of the upload, or the URL of the source by reference, from which the frame was read.
    source: str
    #: If the upload is a zip archive, the offset of the member from which the frame was read. None if the upload is not
    #: an archive, or if the archive itself could not be read.
    offset: Amount | None = None
    #: The version of the archive, if it is a source by reference. Offsets are meaningless in another version.
    pin: Pin | None = None


def dead_letters(line: ItemLine, frames: Sequence[PlannedFrame]) -> Iterator[DeadLetter]:
    """Yield the failed frames of an item. `frames` are the planned frames of the item, in the order of the outcomes."""
    # There can be more outcomes than planned frames: a job that was cancelled during planning may have outcomes for
    # frames that were never planned. None of these frames failed.
    for outcome, planned in zip(line.outcomes, frames, strict=False):
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
                pin=_pin_of_archive(planned),
            )


def _pin_of_archive(planned: PlannedFrame) -> Pin | None:
    pinned = planned.pinned
    if planned.extent is None or pinned is None:
        return None
    return Pin(size=pinned.size, etag=pinned.etag, version=pinned.version)
