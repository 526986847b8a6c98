"""The states of a job and the allowed transitions. The ledger's scripts are given the same table."""

from maskrelay.contract.jobs import TERMINAL, Counts, JobState

#: From each state, where a job may go. Terminal states absorb. `finishing → running`: a settled frame whose line is
#: nowhere in storage waits again.
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
    return after in MOVES[before]


def may_cancel(state: JobState) -> bool:
    """Whether asking to cancel is right now: also again, while the job is being cancelled."""
    return state == "cancelling" or may_move(state, "cancelling")


def verdict(counts: Counts, *, cancelled: bool) -> JobState:
    """The terminal state of a job whose items have come to these counts.

    All succeeded: succeeded. Cancelled with anything unfinished: cancelled. Nothing succeeded: failed. Else partial.
    """
    if counts.succeeded == counts.total:
        return "succeeded"
    if cancelled and counts.cancelled:
        return "cancelled"
    return "partial" if counts.succeeded or counts.partial else "failed"


def is_terminal(state: str) -> bool:
    return state in TERMINAL
