"""Wake-ups: coalesced, so that few messages are sent, but enough to start as many loops as the work needs."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from maskrelay.ledger.scripts import Scripts

Task = Literal["segment", "plan", "assemble", "finish", "deliver"]
TASKS: tuple[Task, ...] = ("segment", "plan", "assemble", "finish", "deliver")
#: A wake-up that started no loop by then was lost.
LOST_AFTER = timedelta(seconds=4)
_MS = timedelta(milliseconds=1)


class Wakes:
    """Sends wake-ups through `publish(task)`; a message that cannot be sent is found by the sweep."""

    def __init__(self, scripts: Scripts, publish: Callable[[str], None]) -> None:
        self._scripts = scripts
        self._publish = publish

    def wake(self, task: Task, wanted: int = 1) -> bool:
        """Send a wake-up if fewer loops are woken than are wanted, and no message waits that nobody has taken yet.

        wanted: of segment, all loops that should run. Of the other tasks, those that should begin: what waits, since
        each that runs is busy with one job, item or delivery. Each that begins wakes the next.
        """
        if wanted < 1:
            return False
        sent = self._scripts.run("wake", task, wanted, secrets.token_hex(8), LOST_AFTER // _MS)
        if sent:
            self._publish(task)
        return bool(sent)

    def running(self, task: Task, loop: str, lasts: timedelta) -> None:
        """A loop of this task runs, and will say so again before that."""
        self._scripts.run("loop", task, loop, lasts // _MS)

    def ended(self, task: Task, loop: str) -> None:
        self._scripts.run("loop", task, loop, 0)

    def loops(self, task: Task) -> int:
        """How many loops of a task are known to run."""
        return int(self._scripts.ask("ZCARD", f"mr:loops:{task}"))

    def work(self, task: Task) -> int:
        """How much waits for a task's loops now."""
        return int(self._scripts.run("work", task))
