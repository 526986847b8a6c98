"""The states of a job and the allowed transitions. The ledger's scripts are given the same table."""

from maskrelay.contract.records.job import TERMINAL, Counts, JobState

#: The states that may follow each state. Terminal states have none. `finishing → running`: a settled frame that has no
#: line in storage must be segmented again.
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
    """Return whether a cancel request is valid now. It is also valid while the job is being cancelled."""
    return state == "cancelling" or may_move(state, "cancelling")


def verdict(counts: Counts, *, cancelled: bool) -> JobState:
    """Return the terminal state of a job with these counts of items.

    All succeeded: succeeded. Cancelled with anything unfinished: cancelled. Nothing succeeded: failed. Otherwise
    partial.
    """
    if counts.succeeded == counts.total:
        return "succeeded"
    if cancelled and counts.cancelled:
        return "cancelled"
    return "partial" if counts.succeeded or counts.partial else "failed"


def is_terminal(state: str) -> bool:
    return state in TERMINAL
