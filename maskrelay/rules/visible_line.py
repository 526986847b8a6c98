"""The rule that chooses the visible outcome of each frame among the lines of a job's outcome parts. Pure."""

from collections.abc import Container
from typing import Self

from maskrelay.contract.outcomes import Outcome
from maskrelay.contract.planned import PlannedItem


class VisibleLines:
    """The standing of each frame's visible line among the lines offered so far; one byte a frame.

    Of the parts that the ledger lists, the first line that it did not refuse is visible: it is the one that was
    settled. A line in a part that the ledger does not list was never settled, or the list was lost; it is visible only
    where no listed line is. Among such lines a success is visible before a failure, and then the first.

    Offer listed parts in the order in which they were settled, and parts that are not listed in the order of their
    names. A line whose frame the job does not have is never visible.
    """

    def __init__(self, frames: int) -> None:
        self._ranks = bytearray(frames)

    @classmethod
    def of_ranks(cls, ranks: bytes) -> Self:
        """As it was when `ranks` were taken."""
        lines = cls(0)
        lines._ranks = bytearray(ranks)
        return lines

    def ranks(self) -> bytes:
        """Everything it knows, a byte a frame."""
        return bytes(self._ranks)

    def offer(self, frame: int, *, succeeded: bool, refused: Container[int] = (), listed: bool = True) -> bool:
        """Whether this line is now its frame's visible one."""
        if not 0 <= frame < len(self._ranks) or frame in refused:
            return False
        rank = 3 if listed else 1 + succeeded
        if rank <= self._ranks[frame]:
            return False
        self._ranks[frame] = rank
        return True

    def decided(self, frame: int) -> bool:
        """Whether the frame has a visible line."""
        return 0 <= frame < len(self._ranks) and self._ranks[frame] > 0


def placed(outcome: Outcome, item: PlannedItem) -> Outcome:
    """The outcome with the item and the index that the plan gives its frame: the frame number identifies an outcome."""
    index = outcome.frame - item.first
    if (outcome.item, outcome.index) == (item.item, index):
        return outcome
    return outcome.model_copy(update={"item": item.item, "index": index})
