"""A child process of a worker.

It builds its objects after the fork, keeps them between tasks, and closes them at the end. A role that keeps further
objects has a subclass in a separate module, `segment_child` or `deliver_child`. A deliver worker runs its tasks in
threads, without child processes. There, the worker process itself has these objects.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.wakeups import ALONE, Task
from maskrelay.settings import Settings
from worker.context import WorkerContext, build
from worker.context.lease_renewal import LeaseRenewal

#: A task that runs for longer than this many times its time budget is regarded as hanging (see `time_limit`). The
#: worker then kills the child process and forks another. The number is small for a segment task, which ends when its
#: budget is over. Any other task ends only after its current step, which takes minutes for a large item.
HANGS_AFTER: dict[Task, int] = {"segment": 20, "assemble": 120, "plan": 120, "finish": 120, "tabulate": 120}
#: The seconds between two checks whether Redis is available again.
ASK_AGAIN = 0.5


class WorkerChild:
    """The objects that a child process of a worker builds at its first wake-up, which is after the fork."""

    def __init__(self, settings: Settings, role: str, stopping: Callable[[], bool]) -> None:
        self.settings = settings
        self._role = role
        self.stopping = stopping
        self.lock = threading.Lock()
        self._context: WorkerContext | None = None

    def parts(self) -> WorkerContext:
        with self.lock:
            if self._context is None:
                self._context = build(self.settings, self._role)
            return self._context

    def run_stage(self, task: Task, work: Callable[[WorkerContext, float], None]) -> None:
        """Call `work`, the function of a stage, with the time until which it may begin new work."""
        with self.outliving(), self._counted(task) as may_work:
            if may_work:
                work(self.parts(), self.until())

    @contextlib.contextmanager
    def _counted(self, task: Task) -> Iterator[bool]:
        """Count as a running loop of this task during the block. Yield whether the loop may work.

        It may not if the task is ALONE and another loop of it is running.

        Before the block, wake another loop if more than one job, item or delivery is waiting, because this loop
        processes only one of them at a time. After the block, wake another loop if any work is still waiting, because
        the time of this loop may be over before all work is done.
        """
        wakes, loop = self.parts().ledger.wake_ups, secrets.token_hex(8)
        report = partial(wakes.running, task, loop, self.settings.task_budget * 2)
        running = report()
        try:
            if task != ALONE:
                wakes.wake(task, wakes.work(task) - 1)
                yield True
            else:
                with LeaseRenewal(self.settings.task_budget, report):
                    yield running == 1
        finally:
            wakes.ended(task, loop)
            wakes.wake(task, wakes.work(task))

    @contextlib.contextmanager
    def outliving(self) -> Iterator[None]:
        """Delay the end of the task until Redis responds.

        Without Redis, Celery could not acknowledge the end of the task, and would count the child process as busy. A
        consumer whose only child process is busy does not read from Redis. It would therefore not notice that its
        connection is lost, and would never receive a wake-up again. If an outage of Redis interrupts the block, the
        error is ignored, because the sweep later sends a wake-up for the interrupted work.
        """
        try:
            with contextlib.suppress(LedgerUnavailable):
                yield
        finally:
            self._await_ledger()

    def _await_ledger(self) -> None:
        """Wait until Redis responds, or until the worker is about to stop."""
        while not self.stopping():
            with contextlib.suppress(LedgerUnavailable):
                self.parts().ledger.scripts.ask("PING")
                return
            time.sleep(ASK_AGAIN)

    def close(self) -> None:
        """Report the metrics, and close the audit log and the spans."""
        with self.lock:
            if self._context is not None:
                self._context.recorder.tell()
                self._context.audit.close()
                self._context.spans.end()

    def time_limit(self, task: Task) -> float:
        """Return the seconds after which a child process is killed if it is still working on the task.

        They include the time in which a worker must shut down, because a segment task uses this time to finish its
        frames.
        """
        settings = self.settings
        return (HANGS_AFTER[task] * settings.task_budget + settings.soft_shutdown).total_seconds()

    def until(self) -> float:
        return time.monotonic() + self.settings.task_budget.total_seconds()
