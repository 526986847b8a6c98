"""The Celery tasks. They are wake-ups without arguments, and each of them only calls the function of its stage."""

from celery import Celery

from maskrelay.errors import LedgerUnavailable, StorageUnavailable
from worker.assemble.assemble_step import assemble_items
from worker.deliver import deliver_due
from worker.finish.finish_step import finish_jobs
from worker.plan.plan_step import plan_jobs
from worker.process.child import WorkerChild

AWAY = (LedgerUnavailable, StorageUnavailable)


def register(app: Celery, child: WorkerChild) -> None:
    """Register the tasks. A task ends if storage is unavailable, and the sweep sends another wake-up later."""

    @app.task(name="plan", throws=AWAY, time_limit=child.time_limit("plan"))
    def plan() -> None:
        child.run_stage("plan", plan_jobs)

    @app.task(name="segment", throws=AWAY, time_limit=child.time_limit("segment"))
    def segment() -> None:
        child.segment()

    @app.task(name="assemble", throws=AWAY, time_limit=child.time_limit("assemble"))
    def assemble() -> None:
        child.run_stage("assemble", assemble_items)

    @app.task(name="finish", throws=AWAY, time_limit=child.time_limit("finish"))
    def finish() -> None:
        child.run_stage("finish", finish_jobs)

    @app.task(name="deliver", throws=AWAY)
    def deliver() -> None:
        child.run_stage("deliver", lambda context, until: deliver_due(context, child.sender(), until))
