"""Wake-ups: coalesced, so that few messages are sent, but enough to start as many loops as the work needs."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from maskrelay.ledger.scripts import Scripts

Task = Literal["segment", "plan", "assemble", "finish", "deliver"]
TASKS: tuple[Task, ...] = ("segment", "plan", "assemble", "finish", "deliver")
#: A wake-up that has started no loop by then counts as lost.
LOST_AFTER = timedelta(seconds=4)
_MS = timedelta(milliseconds=1)


class WakeUps:
    """Sends wake-ups through `publish(task)`. The sweep makes up for a message that cannot be sent."""

    def __init__(self, scripts: Scripts, publish: Callable[[str], None]) -> None:
        self._scripts = scripts
        self._publish = publish

    def wake(self, task: Task, wanted: int = 1) -> bool:
        """Send a wake-up if fewer loops are awake than wanted, and fewer than two of the task's messages are waiting.

        Messages that wait show that every child is busy; more of them would only pile up. wanted: for segment, the
        total number of loops that should run. For the other tasks, the number of loops that should start: the waiting
        work, since each running loop is busy with one job, item or delivery. Each loop that starts wakes the next.
        """
        if wanted < 1:
            return False
        sent = self._scripts.run("wake", task, wanted, secrets.token_hex(8), LOST_AFTER // _MS)
        if sent:
            self._publish(task)
        return bool(sent)

    def running(self, task: Task, loop: str, lasts: timedelta) -> None:
        """Record that a loop of this task is running, and will report again before `lasts` is over."""
        self._scripts.run("loop", task, loop, lasts // _MS)

    def ended(self, task: Task, loop: str) -> None:
        """Record that a loop of this task has ended."""
        self._scripts.run("loop", task, loop, 0)

    def loops(self, task: Task) -> int:
        """Return the number of running loops of a task."""
        return int(self._scripts.ask("ZCARD", f"mr:loops:{task}"))

    def work(self, task: Task) -> int:
        """Return how much work waits for the loops of a task."""
        return int(self._scripts.run("work", task))
