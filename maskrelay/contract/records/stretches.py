"""A checkpoint of an unfinished result.

It describes the objects that the finish step has written for some parts of the plan. If the step is interrupted, it
continues with the next part.
"""

from maskrelay.contract.record import Record
from maskrelay.contract.records.job import FinalObject


class Stretch(Record):
    """The results of the items that begin in some consecutive parts of the plan."""

    #: The lines of the items.
    lines: FinalObject
    #: The offset of each line.
    index: FinalObject
    #: The dead letters of the items.
    dead: FinalObject | None = None
    #: The number of items by state.
    items: dict[str, int]
    #: The number of frames by state.
    frames: dict[str, int]
    #: The number of masks with each flag.
    flags: dict[str, int]
    #: The numbers of the items that have a mask with a flag, by flag.
    flagged: dict[str, list[int]]
    #: The suspicions of the items in `flagged`, by flag and in the same order.
    suspicions: dict[str, list[float]]
