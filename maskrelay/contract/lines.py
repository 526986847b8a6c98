"""An item with its outcomes: one line of the final object, and what is shown of it while the job runs."""

from maskrelay.contract.jobs import ItemState
from maskrelay.contract.outcomes import Failure, Outcome, Record


class ItemLine(Record):
    """An item's final record: its state and the one visible outcome of each of its frames, in order."""

    item: int
    custom_id: str
    source_name: str | None = None
    state: ItemState
    error: Failure | None = None
    outcomes: tuple[Outcome, ...]


def item_state(outcomes: tuple[Outcome, ...]) -> ItemState:
    """All frames succeeded: succeeded; some: partial; none: failed, or cancelled if nothing else happened."""
    states = {outcome.state for outcome in outcomes}
    if states == {"succeeded"}:
        return "succeeded"
    if "succeeded" in states:
        return "partial"
    return "failed" if "failed" in states else "cancelled"


def item_line(item: int, custom_id: str, source_name: str | None, outcomes: tuple[Outcome, ...]) -> ItemLine:
    """The line of an item whose frames have all been decided; its error is its first frame's that has one."""
    error = next((outcome.error for outcome in outcomes if outcome.error), None)
    return ItemLine(
        item=item,
        custom_id=custom_id,
        source_name=source_name,
        state=item_state(outcomes),
        error=error,
        outcomes=outcomes,
    )
