"""The removal of the objects of deleted jobs. Any number of processes may do this at the same time."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from maskrelay.contract.records import keys
from maskrelay.contract.records.audit_entries import AuditEntry
from maskrelay.errors import ObjectMissing, RecordUnreadable
from maskrelay.storage.markers import tombstone_of
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import read_submission
from maskrelay.storage.submitted_items import items_kept, read_items
from worker.cleanup.unused_uploads import drop, unpublish
from worker.cleanup.walks import delete_all, next_keys, written_before
from worker.context import WorkerContext

log = logging.getLogger(__name__)
JOBS_A_PASS = 50
#: The age at which the `removing/` marker of a job without a tombstone is deleted.
ORPHANED = timedelta(hours=1)
#: The content of the `removing/` marker after the first round of the removal.
BEGUN = b"begun"


def remove_gone(context: WorkerContext, now: datetime) -> None:
    """Continue the removal of the jobs in the next window of `removing/` markers."""
    marked = next_keys(context, "removing", keys.REMOVING, JOBS_A_PASS)
    remove_jobs(context, (key.removeprefix(keys.REMOVING) for key in marked), now)


def remove_jobs(context: WorkerContext, jobs: Iterable[str], now: datetime) -> int:
    """Continue the removal of these jobs. Return the number of jobs for which a round was completed."""
    alone = context.bad_objects.alone
    return sum(
        bool(alone("removal", job, partial(remove, context, job, now))) for job in jobs if keys.ID.fullmatch(job)
    )


def remove(context: WorkerContext, job: str, now: datetime) -> bool:
    """Do the next round of a job's removal. Return whether a round was completed.

    The first round removes everything but the tombstone, the submission and its uploads. From then on, no new job can
    use these uploads, unless another job uses them too. The second round runs when all work that was in progress has
    ended. It removes everything that this work has written, then the uploads that no other job uses, the submission and
    the `removing/` marker.
    """
    storage, marker = context.storage, keys.removing(job)
    tombstone = tombstone_of(storage, job)
    if tombstone is None:
        if written_before(storage, marker, now - ORPHANED):
            storage.delete(marker)
        return False
    try:
        begun = storage.get(marker) == BEGUN
    except ObjectMissing:  # another process has completed the second round
        return False
    # Every lease is shorter than the visibility timeout, so after this time no work of the job is in progress.
    if begun and not written_before(storage, marker, now - context.settings.visibility_timeout):
        return False
    context.ledger.jobs.forget(job, tombstone.tenant)
    _remove_own(storage, job)
    if begun:
        _remove_submission(storage, job)
        storage.delete(marker)
        context.audit.write(AuditEntry(at=datetime.now(UTC), did="removed", tenant=tombstone.tenant, job=job))
        log.info("job removed", extra={"job_id": job, "reason": tombstone.reason})
        return True
    for upload in _uploads(storage, job):
        unpublish(storage, upload, job)
    storage.put(marker, BEGUN)
    return True


def _remove_own(storage: Storage, job: str) -> None:
    storage.delete(keys.live_cancel(job))
    storage.delete(keys.live(job))
    kept: tuple[str, ...] = (keys.gone(job), keys.accepted(job))
    with suppress(ObjectMissing, RecordUnreadable):
        kept += items_kept(read_submission(storage, job))
    delete_all(storage, (key for key in storage.list(keys.objects(job)) if not key.startswith(kept)))


def _remove_submission(storage: Storage, job: str) -> None:
    """Remove the job's uploads that no other job uses, and all objects of the job but the tombstone.

    `job.json` is removed last, because the uploads are found through it.
    """
    for upload in _uploads(storage, job):
        drop(storage, upload, job)
    last = {keys.gone(job), keys.accepted(job)}
    delete_all(storage, (key for key in storage.list(keys.objects(job)) if key not in last))
    storage.delete(keys.accepted(job))


def _uploads(storage: Storage, job: str) -> set[str]:
    """Return the uploads that the job uses.

    If the record of the job is unreadable, return no uploads. They are then removed because of their age, like other
    unused uploads.
    """
    try:
        sources = (item.source for item in read_items(storage, read_submission(storage, job)))
        return {source for source in sources if keys.upload_of(source) == source}
    except (ObjectMissing, RecordUnreadable):
        return set()
