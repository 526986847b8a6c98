"""Jobs that are halted because a step failed repeatedly. An operator can resume them."""

import logging
from datetime import UTC, datetime
from typing import Literal

from maskrelay.contract.records import keys
from maskrelay.contract.records.endings import Halt
from maskrelay.contract.records.job import Counts, Frames
from maskrelay.errors import (
    AssemblingFailed,
    FinishingFailed,
    JobHalted,
    LedgerUnavailable,
    MaskrelayError,
    PlanningFailed,
    StorageUnavailable,
)
from maskrelay.ledger.ledger_record import JobRecord
from maskrelay.rules.lifecycle import is_terminal
from maskrelay.storage.markers import halt_of, write_halt
from maskrelay.storage.protocol import has
from maskrelay.storage.stored_records import read_submission
from worker.context import WorkerContext
from worker.context.job_records.conclusion import CREATED, forget_deleted
from worker.context.job_records.event_records import announce, queue_tables

log = logging.getLogger(__name__)
Step = Literal["plan", "assemble", "finish"]
_ERRORS: dict[Step, type[JobHalted]] = {
    "plan": PlanningFailed,
    "assemble": AssemblingFailed,
    "finish": FinishingFailed,
}


def halt(context: WorkerContext, job: str, step: Step) -> None:
    """End the job as `failed`, without a result, because the step has failed repeatedly.

    The outcomes of the job are kept. A job that has a result or has ended is not changed. Any process may repeat the
    call.
    """
    error = _ERRORS[step]()
    if _halt(context, job, step, error):
        context.recorder.happened("halted", step)
        log.error("job halted: a step failed repeatedly", extra={"job_id": job, "step": step, "code": error.code})


def refuse_run(context: WorkerContext, job: str, error: MaskrelayError) -> None:
    """End the job as `failed`, without a result, because the lines of the run cannot be used. See `halt`."""
    if _halt(context, job, "plan", error):
        log.info("run refused", extra={"job_id": job, "code": error.code})


def _halt(context: WorkerContext, job: str, step: Step, error: MaskrelayError) -> bool:
    """Write `halted.json`, create the event, and set the terminal state. Return False if the job has ended already."""
    record = context.ledger.jobs.get(job)
    if record is None or is_terminal(record.state) or has(context.storage, keys.result(job)):
        return False
    write_halt(context.storage, job, Halt(step=step, code=error.code, detail=error.detail, at=datetime.now(UTC)))
    conclude_halted(context, record)
    return True


def conclude_halted(context: WorkerContext, record: JobRecord) -> bool:
    """Create the event of a halted job, and record its end in the ledger. Return whether the ledger has changed.

    Repeating this does no harm.
    """
    stands = halt_of(context.storage, record.id)
    if stands is None:
        return False
    frames = Frames(
        planned=max(record.frames.planned, record.frames.succeeded + record.frames.failed),
        succeeded=record.frames.succeeded,
        failed=record.frames.failed,
    )
    counts = Counts(total=record.total, **record.items).model_dump()
    try:
        submission = read_submission(context.storage, record.id)
        announce(context, submission, "job.failed", state="failed", at=stands.at, counts=counts)
        queue_tables(context, submission)
    except (StorageUnavailable, LedgerUnavailable):
        raise
    except Exception:  # the fault that halted the job may also affect its event, but the job must end in any case
        log.exception("the event of a halted job cannot be created", extra={"job_id": record.id})
    concluded = context.ledger.jobs.conclude(
        record.id,
        tenant=record.tenant,
        lane=record.lane,
        created_at=record.created_at,
        state="failed",
        items=counts,
        frames=frames,
        halted=stands.code,
    )
    if concluded == CREATED:
        forget_deleted(context, record.id)
    return bool(concluded)


def release_halted(context: WorkerContext, job: str) -> bool:
    """Let a halted job continue with what is in storage. Return whether it was halted.

    The function removes `halted.json`. The ledger's record then no longer matches storage, so the next comparison of
    storage with the ledger restores the record. The call may be repeated after an interruption.
    """
    if halt_of(context.storage, job) is None:
        return False
    context.storage.delete(keys.halted(job))
    log.warning("halted job resumed", extra={"job_id": job})
    return True
