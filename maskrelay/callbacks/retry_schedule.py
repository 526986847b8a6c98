"""The retry schedule of callbacks."""

from datetime import timedelta

#: The pauses before attempt 1, 2 and so on, in seconds. Standard Webhooks recommends this schedule, which takes about
#: three days.
_DELAYS_S = (0, 5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24)))
_SPREAD = 0.1
LONGEST = timedelta(hours=24)


def delay_before(attempt: int, rand: float, retry_after: timedelta | None = None) -> timedelta | None:
    """Return the pause before attempt number `attempt` (from 1), or None if there are no more attempts.

    `rand`, in [0, 1), lengthens or shortens the pause by up to a tenth. A receiver that works again therefore does not
    get all deliveries at once. `retry_after` is the pause that the receiver requested. It can only lengthen the pause,
    to at most a day.
    """
    if attempt > len(_DELAYS_S):
        return None
    pause = timedelta(seconds=_DELAYS_S[attempt - 1] * (1 + _SPREAD * (2 * rand - 1)))
    return max(pause, min(retry_after or timedelta(0), LONGEST))
