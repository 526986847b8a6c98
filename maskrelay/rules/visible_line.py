"""The rule that chooses the visible outcome of each frame among the lines of a job's outcome parts. Pure."""

from collections.abc import Container
from typing import Self

from maskrelay.contract.records.outcomes import Outcome
from maskrelay.contract.records.planned_items import PlannedItem


class VisibleLines:
    """The rank of each frame's visible line among the lines offered so far. Takes one byte per frame.

    Of the parts that the ledger lists, the first line that was not refused is visible: it is the line that was settled.
    A line in a part that the ledger does not list was never settled, or the list was lost. Such a line is visible only
    if the frame has no listed line. Among such lines, successes take precedence over failures, and then earlier lines
    over later ones.

    Offer listed parts in the order in which they were settled, and unlisted parts in the order of their names. A line
    whose frame is not in the job is never visible.
    """

    def __init__(self, frames: int) -> None:
        self._ranks = bytearray(frames)

    @classmethod
    def of_ranks(cls, ranks: bytes) -> Self:
        """Restore from `ranks`."""
        lines = cls(0)
        lines._ranks = bytearray(ranks)
        return lines

    def ranks(self) -> bytes:
        """Return the complete state, one byte per frame."""
        return bytes(self._ranks)

    def offer(self, frame: int, *, succeeded: bool, refused: Container[int] = (), listed: bool = True) -> bool:
        """Return whether this line is now the visible line of its frame."""
        if not 0 <= frame < len(self._ranks) or frame in refused:
            return False
        rank = 3 if listed else 1 + succeeded
        if rank <= self._ranks[frame]:
            return False
        self._ranks[frame] = rank
        return True

    def decided(self, frame: int) -> bool:
        """Return whether the frame has a visible line."""
        return 0 <= frame < len(self._ranks) and self._ranks[frame] > 0


def placed(outcome: Outcome, item: PlannedItem) -> Outcome:
    """Return the outcome with the item and index that the plan assigns to its frame.

    The frame number identifies an outcome.
    """
    index = outcome.frame - item.first
    if (outcome.item, outcome.index) == (item.item, index):
        return outcome
    return outcome.model_copy(update={"item": item.item, "index": index})
