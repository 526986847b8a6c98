"""The time that a worker spends on one step before other steps get their turn."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from maskrelay.ledger.step_leases import Kind
from worker.context import WorkerContext

#: A long step stops after LEAST seconds if other steps wait. Whether they wait is checked every ASK seconds.
LEAST, ASK = 5.0, 1.0
_CONTROL: tuple[Kind, ...] = ("plan", "finish")


class TimeIsUp(Exception):
    """The step's time is over. What was done so far is kept, and a worker can take the step again."""


@dataclass
class Turn:
    """The time that one step may take, at most until `until` (in monotonic seconds).

    It begins with the first call of `is_over`, and ends earlier if `waiting` returns True, but not within the first
    LEAST seconds. The first call always returns False, so some work is done even if there is little time.
    """

    until: float
    waiting: Callable[[], bool] = lambda: False
    _began: float | None = None
    _asked: float = 0.0
    _over: bool = False

    def is_over(self) -> bool:
        """Return whether the step should stop now."""
        now = time.monotonic()
        if self._began is None:
            self._began = self._asked = now
            return False
        if now >= self.until:
            self._over = True
        elif now - self._began >= LEAST and now - self._asked >= ASK:
            self._asked = now
            self._over = self._over or self.waiting()
        return self._over


#: A turn without a time limit.
ENDLESS = Turn(float("inf"))


def others_wait(context: WorkerContext) -> bool:
    """Return whether a job that no worker has taken waits to be planned or finished."""
    return any(context.ledger.wake_ups.steps(kind) for kind in _CONTROL)
