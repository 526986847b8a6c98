"""When a failed process or thread is restarted: with growing pauses, and a limited number of times."""

#: The pause doubles with each failure in a row, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: A run of so many seconds was a good one: the failure that ends it is the first of a new row.
STEADY = 60.0
#: After so many failures in a row, which take about two and a half minutes, a start has no prospect.
MOST_FAILURES = 10


def failures_in_a_row(before: int, ran: float) -> int:
    """The number of failures in a row, after a run of `ran` seconds failed as well; `before` it there were so many."""
    return 1 if ran >= STEADY else before + 1


def pause_after(failures: int) -> float | None:
    """Seconds until the next start after so many failures in a row; None: give up."""
    return None if failures >= MOST_FAILURES else min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
