"""The time slice that a worker gives one step before others have their turn."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from maskrelay.ledger.step_leases import Kind
from worker.context import WorkerContext

#: A long step gives way to waiting steps after `LEAST` seconds, and checks every `ASK` seconds whether there are any.
LEAST, ASK = 5.0, 1.0
_CONTROL: tuple[Kind, ...] = ("plan", "finish")


class TimeIsUp(Exception):
    """The step's time is over. What was done so far is kept, and the step can be taken again."""


@dataclass
class Turn:
    """Time until `until` (monotonic seconds), or less if other steps wait, as `waiting` returns.

    It begins with the first call of `is_over`, which returns False: however little time there is, some work is done.
    """

    until: float
    waiting: Callable[[], bool] = lambda: False
    _began: float | None = None
    _asked: float = 0.0
    _over: bool = False

    def is_over(self) -> bool:
        """Return whether the step should give way now."""
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
    """Return whether a job waits to be planned or finished that no worker has taken."""
    return any(context.ledger.wake_ups.work(kind) for kind in _CONTROL)
