"""The rules for when failed work is retried, and for when an error counts as an attempt of a frame."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from maskrelay.errors import EndpointBusy, EndpointTimeout, FrameRefused, MaskrelayError, SourceUnavailable

#: The pause after the first attempt, and the longest pause.
FIRST = timedelta(seconds=1)
MOST = timedelta(minutes=5)
#: The number that is added to the number of failures to compute the pause after a timeout. It makes the first such
#: pause 8 to 16 s.
LATE = 4
#: The kind of EndpointBusy for a frame that may use none of the worker's endpoints. No gate can open for it.
NO_ENDPOINT = "no_endpoint"
#: The longest pause of a frame if the gates of all endpoints that may score it are closed. It is short, because a gate
#: may open earlier than expected.
COME_BACK = timedelta(seconds=5)
#: The longest pause of a frame whose source is in a store that cannot be reached.
SOURCE_AWAY = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Trouble:
    """The ledger's record of the earlier failures of an unsettled frame."""

    #: The number of attempts that count against the frame.
    attempts: int = 0
    #: The number of workers that died while they processed only this frame.
    deaths: int = 0
    #: The time at which an endpoint last failed on this frame, in milliseconds of the Redis clock. It is 0 if there was
    #: no failure, or if the failure was judged already.
    struck: int = 0
    #: The error code of the last failure.
    code: str = ""
    #: The endpoint that failed.
    endpoint: str = ""


def backoff(attempt: int, rand: float) -> timedelta:
    """Return the pause after attempt number `attempt`, counted from 1.

    The full pause doubles with each attempt, from one second to five minutes. The result is 50 to 100 % of the full
    pause, depending on `rand`, a random number from 0 to 1.
    """
    full: timedelta = min(MOST, FIRST * 2 ** min(attempt - 1, 20))
    return full * (0.5 + rand / 2)


def pause_after_release(error: MaskrelayError, attempt: int, rand: float) -> timedelta:
    """Return the pause of a frame that is released because of `error` in attempt number `attempt`, counted from 1.

    If the endpoint failed on the frame, the pause grows with the number of attempts. After a timeout it is longer,
    because the endpoint's container may still be working on the request. If all gates are closed, the frame waits for
    80 to 100 % of the time until the first of them may open, and for five seconds at most. If there is no endpoint for
    it, it waits for 80 to 100 % of the time that the error gives. If the store of its source cannot be reached, it
    waits for 10 to 20 seconds. After any other error, it waits for 0.5 to 1 second. `rand` is a random number from 0
    to 1.
    """
    if isinstance(error, FrameRefused | EndpointTimeout):
        return backoff(attempt + (LATE if isinstance(error, EndpointTimeout) else 0), rand)
    if isinstance(error, EndpointBusy) and error.come_back_s is not None:
        wait = timedelta(seconds=error.come_back_s)
        return (wait if error.kind == NO_ENDPOINT else min(wait, COME_BACK)) * (0.8 + 0.2 * rand)
    if isinstance(error, SourceUnavailable):
        return SOURCE_AWAY * (0.5 + rand / 2)
    return backoff(1, rand)


def judge(
    trouble: Trouble, last_good_ms: int, excused_ms: int = 0, *, is_open: bool = True
) -> Literal["clear", "charge", "ask"]:
    """Judge whether the frame's last failure counts as an attempt.

    Return `charge` if the endpoint has answered another input successfully since the failure, so the failure counts.
    Otherwise, return `ask`. The caller must then send the canary first, because a faulty deployment and a faulty image
    fail in the same way. Return `clear` if there is no failure to judge, if the gate is not open, or if the failure was
    not later than `excused_ms`, the end of the last outage in which the canary failed too.
    """
    if not trouble.struck or not is_open or trouble.struck <= excused_ms:
        return "clear"
    return "charge" if last_good_ms > trouble.struck else "ask"
