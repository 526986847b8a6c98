"""The comparison of storage with the ledger, job by job. Differences are corrected from storage."""

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Submission
from maskrelay.errors import ObjectMissing, RecordUnreadable
from maskrelay.ledger.job_transitions import LONGEST_HOLD
from maskrelay.rules.lifecycle import is_terminal
from maskrelay.storage.markers import cancel_intent, halt_of, tombstone_of
from maskrelay.storage.protocol import Storage, has
from maskrelay.storage.stored_records import read_submission
from worker.cleanup.walks import side_by_side, written_before
from worker.context import WorkerContext
from worker.context.halted_jobs import conclude_halted
from worker.context.job_records.conclusion import conclude, read_result
from worker.context.job_records.event_records import RUNNING_PERIOD, queue_tables, resume
from worker.context.job_records.plans import planned_frames
from worker.context.job_records.visible_outcomes import find_visible_outcomes

log = logging.getLogger(__name__)
#: The number of jobs that are compared concurrently. Most of the time is spent waiting for storage.
HANDS = 16
#: The age at which the remains of a submission that was never accepted are removed.
ORPHANED = timedelta(hours=1)
#: Counts of what was found and done, by description.
Found = Counter[str]


def reconcile(context: WorkerContext, *, go_on: Callable[[], object] = lambda: None) -> Found:
    """Compare the ledger's record of every live job with storage and correct the record, several jobs at a time.

    Then count the usage of each tenant again. Any number of processes may do this at any time. `go_on` is called after
    each job and each tenant. If it raises an error, the comparison ends.
    """
    found: Found = Counter({"live jobs compared": 0})
    for result in side_by_side(lambda job: reconcile_alone(context, job.id, marked=job.marked), _jobs(context), HANDS):
        found["live jobs compared"] += 1
        found.update(result)
        go_on()
    for tenant in context.ledger.quotas.tenants():
        context.ledger.quotas.recount(tenant)
        go_on()
    return found


class _Job(NamedTuple):
    id: str
    marked: bool


def _jobs(context: WorkerContext) -> Iterator[_Job]:
    """Yield every job that storage marks as live, then every job that is unfinished only according to the ledger."""
    marked: set[str] = set()
    for job in live_jobs(context.storage):
        marked.add(job)
        yield _Job(job, marked=True)
    yield from (_Job(job, marked=False) for job in context.ledger.jobs.unfinished() if job not in marked)


def reconcile_alone(context: WorkerContext, job: str, *, marked: bool = True) -> Found:
    """Compare one job like `reconcile_job`, or skip it if its objects cannot be used.

    `marked` says whether storage has a live marker for the job. A ledger that was restored from a backup may contain a
    job without a marker. The marker is then written first, so the next comparison finds the job too. Raises
    LedgerUnavailable or StorageUnavailable during an outage.
    """

    def compared() -> Found:
        if not marked:
            context.storage.put(keys.live(job), b"")
        return reconcile_job(context, job)

    found = context.bad_objects.alone("comparison", job, compared)
    return Counter({"jobs that could not be compared": 1}) if found is None else found


def live_jobs(storage: Storage) -> Iterator[str]:
    """Yield every job with a live marker or a cancellation marker."""
    names = (key.removeprefix(keys.LIVE).removesuffix(keys.CANCEL) for key in storage.list(keys.LIVE))
    return (job for job, _ in groupby(names) if keys.ID.fullmatch(job))


def reconcile_job(context: WorkerContext, job: str) -> Found:
    """Compare one job, and correct the ledger's record of it.

    The first of these decides: `gone.json` exists, `job.json` is missing, `result.json` exists, `halted.json` exists.
    Otherwise the job is unfinished, and `cancel.json` decides whether it is cancelled.
    """
    storage, jobs = context.storage, context.ledger.jobs
    if tombstone := tombstone_of(storage, job):
        jobs.forget(job, tombstone.tenant)
        _unmark(storage, job)
        return Counter({"markers of deleted jobs removed": 1})
    record = jobs.get(job)  # read before storage: what the ledger knows by now is in storage already
    result = read_result(context, job)
    intent = cancel_intent(storage, job)
    try:
        submission = read_submission(storage, job)
    except ObjectMissing:
        if record is not None and jobs.forget(job, record.tenant):
            log.warning("removed from the ledger: the storage has nothing of this job", extra={"job_id": job})
        return Counter({"unaccepted submissions removed": _forget_orphan(context, job)})
    if result is not None:
        concluded = conclude(context, submission, result)
        resume(context, submission)
        return Counter({"jobs concluded from storage": concluded})
    halted = halt_of(storage, job) is not None
    if record is not None and is_terminal(record.state):
        if halted:
            return Counter({"jobs that ended without a result": 1})
        jobs.forget(job, submission.tenant)  # the job was resumed, or Redis is ahead of storage
        resume(context, submission)
    return _restore(context, submission, halted=halted, cancel=intent.reason if intent else None)


def _restore(context: WorkerContext, submission: Submission, *, halted: bool, cancel: str | None) -> Found:
    """Add to the ledger what it lacks about a job without a result."""
    job, jobs = submission.id, context.ledger.jobs
    restored = jobs.create(
        job,
        submission.tenant,
        submission.lane,
        submission.total,
        submission.created_at,
        size=submission.size,
        deadline=submission.deadline,
    )
    if restored:
        log.warning("restored from the storage", extra={"job_id": job})
        if tombstone_of(context.storage, job):  # the job may have been deleted since the tombstone was checked
            jobs.forget(job, submission.tenant)
            return Counter()
    adopted = _adopt_parts(context, job)
    queue_tables(context, submission, RUNNING_PERIOD)
    if halted and (record := jobs.get(job)) is not None:
        conclude_halted(context, record)
    elif cancel is not None:
        jobs.cancel(job, cancel)
    return Counter({"ledger records restored": restored, "outcome parts adopted": adopted})


def _adopt_parts(context: WorkerContext, job: str) -> int:
    """Add the outcome parts that the ledger lacks, and return their number.

    The lines of these parts that are not visible are recorded as refused.
    """
    listed = context.ledger.jobs.parts(job)
    known = {name for name, _ in listed}
    found = [keys.part_of(key) for key in context.storage.list(keys.outcomes(job))]
    names = {name for name in found if keys.PART.fullmatch(name)}
    if len(names) < len(found):
        context.bad_objects.leave_out("comparison", job, RecordUnreadable(key=keys.outcomes(job)))
    if names <= known:
        return 0
    _, frames = planned_frames(context.storage, job)
    visible = find_visible_outcomes(context.storage, job, frames, listed, spool_bytes=0)
    for name in sorted(names - known):
        context.ledger.claims.adopt(job, name, visible.lines_of(name))
    return len(names - known)


def _forget_orphan(context: WorkerContext, job: str) -> bool:
    """Remove the markers and items of a submission that was never accepted, unless it is being accepted right now.

    The id is reserved meanwhile, so that the submission cannot be accepted by a repeated request.
    """
    storage, jobs, oldest = context.storage, context.ledger.jobs, datetime.now(UTC) - ORPHANED
    left = [*storage.list(keys.item_lists(job)), keys.live_cancel(job), keys.live(job)]
    old = [key for key in left if written_before(storage, key, oldest)]
    nonce = secrets.token_hex(8)
    if not old or not jobs.begin_accepting(job, nonce, LONGEST_HOLD):
        return False
    try:
        if has(storage, keys.accepted(job)):
            return False
        for key in old:
            storage.delete(key)
    finally:
        jobs.end_accepting(job, nonce)
    return True


def _unmark(storage: Storage, job: str) -> None:
    storage.delete(keys.live_cancel(job))
    storage.delete(keys.live(job))
