"""Conclude a job from its stored result: event, terminal state, live marker. The same for every caller."""

from maskrelay.contract.records.job import Result, Submission
from maskrelay.errors import ObjectMissing
from maskrelay.storage import stored_records
from maskrelay.storage.markers import tombstone_of
from worker.context import WorkerContext
from worker.context.job_records.event_records import announce, leave_live

#: Returned by `Jobs.conclude` if the ledger had no record.
CREATED = 2


def read_result(context: WorkerContext, job: str) -> Result | None:
    """Return the job's result, if it has one; raises RecordUnreadable."""
    try:
        return stored_records.read_result(context.storage, job)
    except ObjectMissing:
        return None


def conclude(context: WorkerContext, submission: Submission, result: Result) -> bool:
    """Create the event, make the job terminal, delete the live marker; return whether it was news to the ledger.

    Each of these is safe to repeat.
    """
    counts = result.counts.model_dump()
    announce(context, submission, f"job.{result.state}", state=result.state, at=result.finished_at, counts=counts)
    concluded = context.ledger.jobs.conclude(
        submission.id,
        tenant=submission.tenant,
        lane=submission.lane,
        created_at=submission.created_at,
        state=result.state,
        items=counts,
        frames=result.frames,
    )
    if concluded == CREATED:
        forget_deleted(context, submission.id)
    leave_live(context.storage, submission)
    return bool(concluded)


def forget_deleted(context: WorkerContext, job: str) -> None:
    """Delete a record that was just created for a job that was deleted while this process worked on it.

    The tombstone is written before the record is deleted because of it. If there is no tombstone here, that deletion is
    still to come, and nothing is deleted now.
    """
    tombstone = tombstone_of(context.storage, job)
    if tombstone is not None:
        context.ledger.jobs.forget(job, tombstone.tenant)
