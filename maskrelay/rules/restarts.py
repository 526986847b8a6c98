"""When a failed process or thread is restarted: with growing pauses, and a limited number of times."""

#: The pause doubles with each failure in a row, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: A run of this many seconds was successful: the failure that ends it is the first of a new series.
STEADY = 60.0
#: After this many failures in a row, which take about two and a half minutes, another restart is pointless.
MOST_FAILURES = 10


def failures_in_a_row(before: int, ran: float) -> int:
    """Return the number of failures in a row, after a run of `ran` seconds failed, with `before` failures before it."""
    return 1 if ran >= STEADY else before + 1


def pause_after(failures: int) -> float | None:
    """Return the seconds until the next restart after this many failures in a row; None: give up."""
    return None if failures >= MOST_FAILURES else min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
