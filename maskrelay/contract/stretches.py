"""A checkpoint of an unfinished result: what finish has written for some parts of the plan, so that it can resume."""

from maskrelay.contract.jobs import FinalObject
from maskrelay.contract.outcomes import Record


class Stretch(Record):
    """The items that begin in some parts of the plan: their lines, where each begins, and their dead letters.

    items, frames: by state. flags: how many masks carry each. flagged: of each flag the items with such a mask,
    suspicions: beside them.
    """

    lines: FinalObject
    index: FinalObject
    dead: FinalObject | None = None
    items: dict[str, int]
    frames: dict[str, int]
    flags: dict[str, int]
    flagged: dict[str, list[int]]
    suspicions: dict[str, list[float]]
