"""Rules for lanes, and for the number of segment loops and workers that the waiting work needs."""

import math
from collections.abc import Sequence

from maskrelay.contract.records.job import INTERACTIVE_ITEMS, Lane
from maskrelay.errors import LaneForbidden

#: The share of a segment child process's capacity above which it claims no bulk frames. The rest of the capacity is
#: kept for interactive frames.
BULK_SHARE = 0.75


def lane_of(asked: Lane | None, total: int) -> Lane:
    """Return the lane of a job of `total` items or frames. The bulk lane may always be requested.

    Raises LaneForbidden if the interactive lane is requested for a job that is too large.
    """
    if total <= INTERACTIVE_ITEMS:
        return asked or "interactive"
    if asked == "interactive":
        raise LaneForbidden(f"the interactive lane takes at most {INTERACTIVE_ITEMS} items")
    return "bulk"


def lanes_to_claim(holding: int, hands: int) -> list[Lane]:
    """Return the lanes from which a segment child process may claim, in order of preference.

    The process has `holding` frames in progress, and may have up to `hands` of them.
    """
    return ["interactive", "bulk"] if holding < math.ceil(hands * BULK_SHARE) else ["interactive"]


def room_to_claim(lanes: Sequence[Lane], holding: int, hands: int) -> int:
    """Return how many frames the process may claim at most from the lanes that `lanes_to_claim` returned.

    While the bulk lane is among them, the capacity that is kept for interactive frames is left out.
    """
    return (math.ceil(hands * BULK_SHARE) if "bulk" in lanes else hands) - holding


def loops_wanted(waiting: int, hands: int, in_flight: int) -> int:
    """Return the number of segment loops that the waiting frames need.

    A loop processes up to `hands` frames at once. Together, the loops have at most about twice as many frames in
    progress as the endpoint can have in flight (`in_flight`).
    """
    return min(math.ceil(waiting / hands), math.ceil(2 * in_flight / hands) + 1)


def callbacks_share(threads: int) -> int:
    """Return the number of callbacks of one tenant that may be in progress at once, for this number of sender threads.

    Even if all receivers of one tenant hang, a quarter of the threads stays free for the other tenants.
    """
    return max(1, threads - math.ceil(threads / 4))


def workers_most(limit: int, per_worker: int) -> int:
    """Return the largest number of workers that an endpoint can keep busy if it allows `limit` scores in flight.

    `per_worker` is the number of frames that one worker has in progress. It is assumed that half of these frames are
    being scored, while the other half is in the stages before or after the score.
    """
    return max(1, math.ceil(2 * limit / per_worker))


def workers_wanted(waiting: int, held: int, per_worker: int, most: int) -> int:
    """Return the number of workers that the `waiting` frames and the `held` frames in progress need, but at most
    `most`.

    The result is 0 if there are no such frames.
    """
    return min(math.ceil((waiting + held) / per_worker), most)
