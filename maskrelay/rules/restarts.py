"""The rules for restarting a failed process or thread: with growing pauses, and a limited number of times."""

#: The first and the longest pause before a restart, in seconds. The pause doubles with each failure in a row.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: The length of a run, in seconds, that counts as a success. A failure that ends such a run is the first of a new
#: series.
STEADY = 60.0
#: The number of failures in a row after which there is no further restart. The pauses between them add up to about two
#: minutes.
MOST_FAILURES = 10


def failures_in_a_row(before: int, ran: float) -> int:
    """Return the new number of failures in a row.

    There were `before` failures, and then a run of `ran` seconds failed.
    """
    return 1 if ran >= STEADY else before + 1


def pause_after(failures: int) -> float | None:
    """Return the seconds until the next restart after this many failures in a row, or None if there is no restart."""
    return None if failures >= MOST_FAILURES else min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
