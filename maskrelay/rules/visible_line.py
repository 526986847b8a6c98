"""The rule that chooses the visible outcome of each frame among the lines of a job's outcome parts."""

from collections.abc import Container
from typing import Self

from maskrelay.contract.records.outcomes import Outcome
from maskrelay.contract.records.planned_items import PlannedItem


class VisibleLines:
    """The rank of each frame's visible line among the lines offered so far, as one byte per frame.

    The ledger lists the parts whose lines were settled. If a frame has lines in listed parts, the visible line is the
    first that was not refused, because that line was settled. If the ledger does not list a part, the part was never
    settled, or the ledger has lost the list. A line of an unlisted part is visible only if no listed part has a line
    for the frame that was not refused. If unlisted parts have several lines for the frame, a success takes precedence
    over a failure. Among several successes or several failures, the line that was offered first is chosen.

    Offer listed parts in the order in which they were settled, and unlisted parts in the order of their names. A line
    whose frame is not in the job is never visible.
    """

    def __init__(self, frames: int) -> None:
        self._ranks = bytearray(frames)

    @classmethod
    def of_ranks(cls, ranks: bytes) -> Self:
        """Return the lines whose `ranks` method returned `ranks`."""
        lines = cls(0)
        lines._ranks = bytearray(ranks)
        return lines

    def ranks(self) -> bytes:
        """Return the complete state: one byte per frame."""
        return bytes(self._ranks)

    def offer(self, frame: int, *, succeeded: bool, refused: Container[int] = (), listed: bool = True) -> bool:
        """Offer a line, and return whether it is now the visible line of its frame.

        `refused` contains the frames whose lines in the same part were refused.
        """
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
    """Return the outcome with the item and index that the plan assigns to its frame number."""
    index = outcome.frame - item.first
    if (outcome.item, outcome.index) == (item.item, index):
        return outcome
    return outcome.model_copy(update={"item": item.item, "index": index})
