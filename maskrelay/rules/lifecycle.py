"""The states of a job and the allowed transitions. The scripts of the ledger receive the same table."""

from maskrelay.contract.records.job import TERMINAL, Counts, JobState

#: The states that may follow each state. No state follows a terminal state. A job goes from `finishing` back to
#: `running` if a settled frame has no outcome in storage and must be segmented again.
MOVES: dict[JobState, frozenset[JobState]] = {
    "accepted": frozenset({"running", "cancelling"}),
    "running": frozenset({"cancelling", "finishing"}),
    "cancelling": frozenset({"finishing"}),
    "finishing": frozenset({"running", "succeeded", "partial", "failed", "cancelled"}),
    "succeeded": frozenset(),
    "partial": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}


def may_move(before: JobState, after: JobState) -> bool:
    """Return whether the table allows this transition."""
    return after in MOVES[before]


def may_cancel(state: JobState) -> bool:
    """Return whether a job in this state can be cancelled. A job that is already being cancelled counts as well."""
    return state == "cancelling" or may_move(state, "cancelling")


def verdict(counts: Counts, *, cancelled: bool) -> JobState:
    """Return the terminal state of a job with these counts of items.

    The job succeeded if all items succeeded. Otherwise, it is cancelled if `cancelled` is true and at least one item is
    cancelled. If neither is the case, it failed if no item succeeded or is partial. In all other cases, it is partial.
    A run that is cancelled before its lines are read has no items.
    """
    if cancelled and not counts.total:
        return "cancelled"
    if counts.succeeded == counts.total:
        return "succeeded"
    if cancelled and counts.cancelled:
        return "cancelled"
    return "partial" if counts.succeeded or counts.partial else "failed"


def is_terminal(state: str) -> bool:
    return state in TERMINAL
