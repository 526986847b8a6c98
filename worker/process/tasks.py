"""The Celery tasks. They are wake-ups without arguments, and each of them only calls a function."""

import contextlib
import secrets
from collections.abc import Iterator

from celery import Celery

from maskrelay.errors import LedgerUnavailable, StorageUnavailable
from maskrelay.ledger.wakeups import Task
from worker.assemble.assemble_step import assemble_items
from worker.context import WorkerContext
from worker.deliver import deliver_due
from worker.finish.finish_step import finish_jobs
from worker.plan.plan_step import plan_jobs
from worker.process.child import WorkerChild

AWAY = (LedgerUnavailable, StorageUnavailable)


@contextlib.contextmanager
def _awake(context: WorkerContext, task: Task) -> Iterator[None]:
    """Count as a running loop of this task, and wake another loop if there is work for more than one.

    There is, if more is waiting than the job, item or delivery that this loop takes first. After the block, check
    again, because the time of this loop may be over before the work is.
    """
    wakes, loop = context.ledger.wake_ups, secrets.token_hex(8)
    wakes.running(task, loop, context.settings.task_budget * 2)
    try:
        wakes.wake(task, wakes.work(task) - 1)
        yield
    finally:
        wakes.ended(task, loop)
        wakes.wake(task, wakes.work(task))


@contextlib.contextmanager
def _outliving(child: WorkerChild) -> Iterator[None]:
    """Let the task end only while Redis responds. The sweep will continue what an outage has interrupted.

    A task that ended without Redis could not be acknowledged. Its consumer, if its only child process was busy, would
    not be reading and would not notice that its connection is lost. It would never receive a wake-up again.
    """
    try:
        with contextlib.suppress(LedgerUnavailable):
            yield
    finally:
        child.await_ledger()


def register(app: Celery, child: WorkerChild) -> None:
    """Register the tasks. If storage is unavailable, a task ends, and the sweep wakes another one later."""

    @app.task(name="plan", throws=AWAY, time_limit=child.time_limit("plan"))
    def plan() -> None:
        with _outliving(child), _awake(child.parts(), "plan"):
            plan_jobs(child.parts(), child.until())

    @app.task(name="segment", throws=AWAY, time_limit=child.time_limit("segment"))
    def segment() -> None:
        with _outliving(child):
            child.segment()

    @app.task(name="assemble", throws=AWAY, time_limit=child.time_limit("assemble"))
    def assemble() -> None:
        with _outliving(child), _awake(child.parts(), "assemble"):
            assemble_items(child.parts(), child.until())

    @app.task(name="finish", throws=AWAY, time_limit=child.time_limit("finish"))
    def finish() -> None:
        with _outliving(child), _awake(child.parts(), "finish"):
            finish_jobs(child.parts(), child.until())

    @app.task(name="deliver", throws=AWAY)
    def deliver() -> None:
        with _outliving(child), _awake(child.parts(), "deliver"):
            deliver_due(child.parts(), child.sender(), child.until())
