"""Wake-ups, which start loops in the workers.

A loop takes work of one kind from the ledger until no work is left or its time is over. As few wake-ups as possible are
sent, but enough to start as many loops as the work needs.
"""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from maskrelay.ledger.scripts import Scripts
from maskrelay.ledger.step_leases import Kind

Task = Literal["segment", "plan", "assemble", "finish", "tabulate", "deliver"]
TASKS: tuple[Task, ...] = ("segment", "plan", "assemble", "finish", "tabulate", "deliver")
#: The task of which at most one loop runs at a time. Its work waits for stores outside of the service, which may hang,
#: and must not occupy all child processes of its role.
ALONE: Task = "tabulate"
#: The time after which a wake-up that has started no loop is regarded as lost.
LOST_AFTER = timedelta(seconds=4)
_MS = timedelta(milliseconds=1)


class WakeUps:
    """A sender of wake-ups, which calls `publish(task)`.

    If a message cannot be sent, the sweep sends another one later.
    """

    def __init__(self, scripts: Scripts, publish: Callable[[str], None]) -> None:
        self._scripts = scripts
        self._publish = publish

    def wake(self, task: Task, wanted: int = 1) -> bool:
        """Send a wake-up if more loops should start. Return whether it was sent.

        For the task `segment`, `wanted` is the total number of loops that should run. For any other task, each running
        loop is busy with one job, item or delivery. There, `wanted` is the amount of waiting work, which is the number
        of loops that should start. Each loop that starts sends the next wake-up. Recent wake-ups whose loops have not
        started yet are counted as loops. Of the task ALONE, at most one loop runs, so `wanted` counts as 1.

        If two messages of the task already wait in the broker, nothing is sent. Waiting messages mean that all child
        processes are busy, so more messages would not help.
        """
        if wanted < 1:
            return False
        wanted = min(wanted, 1) if task == ALONE else wanted
        sent = self._scripts.run("wake", task, wanted, secrets.token_hex(8), LOST_AFTER // _MS)
        if sent:
            self.send(task)
        return bool(sent)

    def send(self, task: Task) -> None:
        """Send a wake-up that a script of the ledger has found to be needed."""
        self._publish(task)

    def running(self, task: Task, loop: str, lasts: timedelta) -> int:
        """Record that a loop of this task is running. The loop must report again before the time `lasts` is over.

        Return the number of running loops of the task.
        """
        return int(self._scripts.run("report_loop", task, loop, lasts // _MS))

    def ended(self, task: Task, loop: str) -> None:
        """Record that a loop of this task has ended."""
        self._scripts.run("report_loop", task, loop, 0)

    def loops(self, task: Task) -> int:
        """Return the number of running loops of a task."""
        return int(self._scripts.ask("ZCARD", f"mr:loops:{task}"))

    def work(self, task: Task) -> int:
        """Return the amount of work that waits for the loops of a task."""
        return int(self._scripts.run("count_work", task))

    def steps(self, kind: Kind) -> int:
        """Return the number of steps of this kind that are due and that no worker holds."""
        return int(self._scripts.run("count_work", kind, "steps"))
