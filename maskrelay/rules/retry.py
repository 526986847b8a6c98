"""When failed work is retried, and when an error counts against a frame."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from maskrelay.errors import EndpointBusy, EndpointTimeout, FrameRefused, MaskrelayError

FIRST = timedelta(seconds=1)
MOST = timedelta(minutes=5)
#: A timed-out frame waits as if it had failed this many more times: about 16 s.
LATE = 4
#: A frame whose gates are closed is tried again after this at the latest, since another gate may have opened.
COME_BACK = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the ledger records about earlier failures of an unsettled frame."""

    #: Attempts counted against the frame.
    attempts: int = 0
    #: Workers that died while it was their only frame.
    deaths: int = 0
    #: When the endpoint last failed on it, in milliseconds of Redis' clock, while that failure is not judged yet; else
    #: 0.
    struck: int = 0
    #: The code of that error.
    code: str = ""
    #: The endpoint that failed.
    endpoint: str = ""


def backoff(attempt: int, rand: float) -> timedelta:
    """Return the pause after `attempt` (from 1): doubles from one second to five minutes. Half of it is jitter."""
    full: timedelta = min(MOST, FIRST * 2 ** min(attempt - 1, 20))
    return full * (0.5 + rand / 2)


def left_alone(error: MaskrelayError, attempt: int, rand: float) -> timedelta:
    """Return how long a frame waits after it was released because of this error in its `attempt` (from 1).

    After an error on the frame, it waits as long as its attempts demand; after a timeout, when the container may still
    be working, longer. A frame whose gates are closed is tried again soon after they may open, any other frame after a
    moment.
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
    """Return whether the frame's last failure is counted as an attempt.

    It is counted only if the endpoint has answered another input successfully since: `charge`. If it has not, `ask`
    sends the canary (a bad roll-out and a bad image fail in the same way). Without a failure the result is `clear`, as
    it is while the gate is not open, and if the failure was before `excused_ms`, the end of the last outage in which
    the canary failed too.
    """
    if not trouble.struck or not is_open or trouble.struck <= excused_ms:
        return "clear"
    return "charge" if last_good_ms > trouble.struck else "ask"
