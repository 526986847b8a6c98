"""Lanes, and how many loops and workers the waiting work needs."""

import math

from maskrelay.contract.jobs import INTERACTIVE_ITEMS, Lane
from maskrelay.errors import LaneForbidden

#: Bulk never takes the last quarter of a child's hands, so that an interactive frame finds one free.
BULK_SHARE = 0.75


def lane_of(asked: Lane | None, total: int) -> Lane:
    """The lane of a job of `total` items or frames; bulk may always be asked for."""
    if total <= INTERACTIVE_ITEMS:
        return asked or "interactive"
    if asked == "interactive":
        raise LaneForbidden(f"the interactive lane takes at most {INTERACTIVE_ITEMS} items", most=INTERACTIVE_ITEMS)
    return "bulk"


def lanes_to_claim(holding: int, hands: int) -> list[Lane]:
    """Which lanes a child that holds `holding` of `hands` frames may claim from, in this order."""
    return ["interactive", "bulk"] if holding < math.ceil(hands * BULK_SHARE) else ["interactive"]


def loops_wanted(waiting: int, hands: int, in_flight: int) -> int:
    """How many loops the waiting frames are worth: enough hands for the work, no more than feed the endpoint twice."""
    return min(math.ceil(waiting / hands), math.ceil(2 * in_flight / hands) + 1)


def callbacks_share(threads: int) -> int:
    """How many callbacks of one tenant may be under way at once, where so many threads send: while its receivers hang,
    a quarter of the threads stays for the others.
    """
    return max(1, threads - math.ceil(threads / 4))


def workers_most(limit: int, per_worker: int) -> int:
    """How many workers an endpoint with `limit` scores in flight can feed: while half of the frames in their hands are
    scored, the other half is prepared and drawn. `per_worker`: the frames that one worker has in hand.
    """
    return max(1, math.ceil(2 * limit / per_worker))


def workers_wanted(waiting: int, held: int, per_worker: int, most: int) -> int:
    """How many workers the waiting frames and those in hand are worth; none without work."""
    return min(math.ceil((waiting + held) / per_worker), most)
