"""The Celery tasks of each role. They are wake-ups without arguments, and each only calls the function of its stage.

A worker imports only the stages of its role. It imports them before it forks, so that its child processes share the
memory of the modules. The exception is `tabulate`, which is imported when there is a table to write.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

from celery import Celery

from maskrelay.errors import LedgerUnavailable, StorageUnavailable
from maskrelay.ledger.wakeups import Task
from maskrelay.settings import Settings
from worker.process.child import WorkerChild

Role = Literal["segment", "assemble", "control", "deliver"]
AWAY = (LedgerUnavailable, StorageUnavailable)


def register(app: Celery, role: Role, settings: Settings, stopping: Callable[[], bool]) -> WorkerChild:
    """Register the tasks of the role, and return the object that runs them in a child process and closes its resources.

    A task ends if storage is unavailable, and the sweep sends another wake-up later.
    """
    roles = {"segment": _segment, "assemble": _assemble, "control": _control, "deliver": _deliver}
    return roles[role](app, settings, stopping)


def _segment(app: Celery, settings: Settings, stopping: Callable[[], bool]) -> WorkerChild:
    from worker.process.segment_child import SegmentChild

    child = SegmentChild(settings, "segment", stopping)
    _add(app, "segment", child.segment, child.time_limit("segment"))
    return child


def _assemble(app: Celery, settings: Settings, stopping: Callable[[], bool]) -> WorkerChild:
    from worker.assemble.assemble_step import assemble_items

    child = WorkerChild(settings, "assemble", stopping)
    _add(app, "assemble", partial(child.run_stage, "assemble", assemble_items), child.time_limit("assemble"))
    return child


def _control(app: Celery, settings: Settings, stopping: Callable[[], bool]) -> WorkerChild:
    from worker.finish.finish_step import finish_jobs
    from worker.plan.plan_step import plan_jobs

    child = WorkerChild(settings, "control", stopping)
    _add(app, "plan", partial(child.run_stage, "plan", plan_jobs), child.time_limit("plan"))
    _add(app, "finish", partial(child.run_stage, "finish", finish_jobs), child.time_limit("finish"))
    _add(app, "tabulate", partial(_tabulate, child), child.time_limit("tabulate"))
    return child


def _tabulate(child: WorkerChild) -> None:
    # pyarrow takes 40 MB and starts a thread; a child process that writes no table needs neither
    from worker.tabulate.tabulate_step import tabulate_jobs

    child.run_stage("tabulate", tabulate_jobs)


def _deliver(app: Celery, settings: Settings, stopping: Callable[[], bool]) -> WorkerChild:
    from worker.process.deliver_child import DeliverChild

    child = DeliverChild(settings, "deliver", stopping)
    _add(app, "deliver", child.deliver)  # each delivery has time limits of its own
    return child


def _add(app: Celery, name: Task, work: Callable[[], None], time_limit: float | None = None) -> None:
    def task() -> None:
        work()

    app.task(task, name=name, throws=AWAY, time_limit=time_limit)
