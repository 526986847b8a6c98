"""Lanes, and how many loops and workers the waiting work needs."""

import math

from maskrelay.contract.records.job import INTERACTIVE_ITEMS, Lane
from maskrelay.errors import LaneForbidden

#: Bulk frames take at most this share of a child's capacity, so that an interactive frame can always start.
BULK_SHARE = 0.75


def lane_of(asked: Lane | None, total: int) -> Lane:
    """Return the lane of a job of `total` items or frames. The bulk lane may always be requested.

    Raises LaneForbidden if the interactive lane is requested for too large a job.
    """
    if total <= INTERACTIVE_ITEMS:
        return asked or "interactive"
    if asked == "interactive":
        raise LaneForbidden(f"the interactive lane takes at most {INTERACTIVE_ITEMS} items", most=INTERACTIVE_ITEMS)
    return "bulk"


def lanes_to_claim(holding: int, hands: int) -> list[Lane]:
    """Return the lanes that a child may claim from, in order of preference; it has `holding` of `hands` frames."""
    return ["interactive", "bulk"] if holding < math.ceil(hands * BULK_SHARE) else ["interactive"]


def loops_wanted(waiting: int, hands: int, in_flight: int) -> int:
    """Return the number of loops for the waiting frames: enough for the work, at most twice what
    the endpoint can take.
    """
    return min(math.ceil(waiting / hands), math.ceil(2 * in_flight / hands) + 1)


def callbacks_share(threads: int) -> int:
    """Return how many callbacks of one tenant may be in progress at once, given the number of sender threads.

    While the tenant's receivers hang, a quarter of the threads stays free for the other tenants.
    """
    return max(1, threads - math.ceil(threads / 4))


def workers_most(limit: int, per_worker: int) -> int:
    """Return how many workers an endpoint with `limit` scores in flight can use.

    While half of the frames in progress are scored, the other half is prepared and drawn. per_worker: frames in
    progress in one worker.
    """
    return max(1, math.ceil(2 * limit / per_worker))


def workers_wanted(waiting: int, held: int, per_worker: int, most: int) -> int:
    """Return the number of workers for the waiting frames and those in progress; 0 without work."""
    return min(math.ceil((waiting + held) / per_worker), most)
