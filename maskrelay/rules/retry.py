"""When failed work is retried, and when an error counts against a frame."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from maskrelay.errors import EndpointBusy, EndpointTimeout, FrameRefused, MaskrelayError

FIRST = timedelta(seconds=1)
MOST = timedelta(minutes=5)
#: A frame that timed out waits as long as one that failed so many times more: about 16 s.
LATE = 4
#: A frame whose gates are closed is looked at again after so long at most: another may have opened them.
COME_BACK = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the ledger remembers of an unsettled frame that had trouble.

    attempts: those held against it. deaths: workers that died with it alone. struck: when the endpoint last failed on
    it and nobody has judged it yet, in milliseconds of Redis' clock, or 0. code: of that error, endpoint: the
    one that failed.
    """

    attempts: int = 0
    deaths: int = 0
    struck: int = 0
    code: str = ""
    endpoint: str = ""


def backoff(attempt: int, rand: float) -> timedelta:
    """The pause after `attempt` (from 1): from a second, doubling, to five minutes; half of it is jitter."""
    full: timedelta = min(MOST, FIRST * 2 ** min(attempt - 1, 20))
    return full * (0.5 + rand / 2)


def left_alone(error: MaskrelayError, attempt: int, rand: float) -> timedelta:
    """How long a frame waits that is given back for this error, in its `attempt` (from 1).

    Of an error on the frame, as long as for its attempts; after a timeout, when the container goes on working, later,
    and as few times. One whose gates are closed comes back soon after they may open, any other in a moment.
    """
    if isinstance(error, FrameRefused | EndpointTimeout):
        return backoff(attempt + (LATE if isinstance(error, EndpointTimeout) else 0), rand)
    if isinstance(error, EndpointBusy) and error.fields.get("parked"):
        seconds = min(float(error.fields.get("come_back_s", 0.0)), COME_BACK.total_seconds())
        return timedelta(seconds=seconds * (0.8 + 0.2 * rand))
    return backoff(1, rand)


def judge(
    trouble: Trouble, last_good_ms: int, excused_ms: int = 0, *, is_open: bool = True
) -> Literal["clear", "charge", "ask"]:
    """Whether the frame's last strike is held against it.

    Only if the endpoint has answered another input well since: then charge. If it has not, ask it with the canary
    (a bad roll-out and a bad image fail alike). Without a strike the frame is clear; so it is while the gate is not
    open, and when it was struck before `excused_ms`, the end of the last outage in which the canary failed too.
    """
    if not trouble.struck or not is_open or trouble.struck <= excused_ms:
        return "clear"
    return "charge" if last_good_ms > trouble.struck else "ask"
