"""A checkpoint of an unfinished result: what finish has written for some parts of the plan, so that it can resume."""

from maskrelay.contract.record import Record
from maskrelay.contract.records.job import FinalObject


class Stretch(Record):
    """The items that begin in some parts of the plan: their lines, the offset of each, and their dead letters."""

    lines: FinalObject
    index: FinalObject
    dead: FinalObject | None = None
    #: By state.
    items: dict[str, int]
    #: By state.
    frames: dict[str, int]
    #: How many masks have each flag.
    flags: dict[str, int]
    #: The items with such a mask, by flag.
    flagged: dict[str, list[int]]
    #: The suspicions of the flagged items.
    suspicions: dict[str, list[float]]
