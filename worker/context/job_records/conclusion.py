"""The conclusion of a job from its stored result: its event, its terminal state, and the removal of its live marker."""

from maskrelay.contract.records.job import Result, Submission
from maskrelay.errors import ObjectMissing
from maskrelay.storage import stored_records
from maskrelay.storage.markers import tombstone_of
from worker.context import WorkerContext
from worker.context.job_records.event_records import announce, announce_storing, leave_live, queue_tables

#: The value that `Jobs.conclude` returns if the ledger had no record of the job.
CREATED = 2


def read_result(context: WorkerContext, job: str) -> Result | None:
    """Return the job's result, or None if it has none. Raises RecordUnreadable."""
    try:
        return stored_records.read_result(context.storage, job)
    except ObjectMissing:
        return None


def conclude(context: WorkerContext, submission: Submission, result: Result) -> bool:
    """Create the event, make the job terminal, and delete its live marker. Return whether the ledger has changed.

    If the deliveries of the job's events are not over, the live marker is kept. Repeating the call does no harm.
    """
    counts = result.counts.model_dump()
    announce(context, submission, f"job.{result.state}", state=result.state, at=result.finished_at, counts=counts)
    announce_storing(context, submission)
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
    queue_tables(context, submission)
    leave_live(context, submission)
    return bool(concluded)


def forget_deleted(context: WorkerContext, job: str) -> None:
    """Delete the ledger's record, which was just created, if the job was deleted in the meantime.

    The deletion of a job writes the tombstone first and then deletes the ledger's record. If there is no tombstone yet,
    a later deletion will therefore delete this record too.
    """
    tombstone = tombstone_of(context.storage, job)
    if tombstone is not None:
        context.ledger.jobs.forget(job, tombstone.tenant)
