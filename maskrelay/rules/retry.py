"""When failed work is tried again, and when an error counts against a frame."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

FIRST = timedelta(seconds=1)
MOST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the ledger remembers of an unsettled frame that had trouble.

    attempts: those held against it. deaths: workers that died with it alone. struck: when the endpoint last failed on
    it and nobody has judged it yet, in milliseconds of Redis' clock, or 0. code: of that error.
    """

    attempts: int = 0
    deaths: int = 0
    struck: int = 0
    code: str = ""


def backoff(attempt: int, rand: float) -> timedelta:
    """The pause after `attempt` (from 1): from a second, doubling, to five minutes; half of it is jitter."""
    full: timedelta = min(MOST, FIRST * 2 ** min(attempt - 1, 20))
    return full * (0.5 + rand / 2)


def judge(trouble: Trouble, last_good_ms: int) -> Literal["clear", "charge", "ask"]:
    """Whether the frame's last strike is held against it.

    Only if the endpoint has answered another input well since: then charge. If it has not, ask it with the canary
    (a bad roll-out and a bad image fail alike). Without a strike the frame is clear.
    """
    if not trouble.struck:
        return "clear"
    return "charge" if last_good_ms > trouble.struck else "ask"
