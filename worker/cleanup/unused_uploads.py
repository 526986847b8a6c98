"""The removal of uploads that no job uses any more, or that no job has ever used.

A submission marks each upload that it uses: it writes an object whose key names the upload and the job. An upload is in
use as long as it has such a mark of a job that was accepted with this upload. If a request failed after it had marked
its uploads, and was repeated with the same idempotency key, the job was accepted with other uploads.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import lru_cache, partial
from itertools import groupby

from maskrelay.contract.records import keys
from maskrelay.errors import ObjectMissing, RecordUnreadable
from maskrelay.storage.protocol import Storage, has
from maskrelay.storage.stored_records import read_submission
from maskrelay.storage.submitted_items import read_items
from worker.cleanup.walks import delete_all, next_keys, written_before
from worker.context import WorkerContext

KEYS_A_PASS = 2000
#: The longest time between the first mark that a submission puts on an upload, and the acceptance of the submission.
UNACCEPTED = timedelta(hours=1)
#: The number of jobs whose uploads are in memory during a pass.
_JOBS_IN_MEMORY = 16


def unpublish(storage: Storage, upload: str, job: str) -> None:
    """Make the upload unknown to new jobs, unless a job other than `job` uses it."""
    if not _other_uses(storage, upload, job):
        storage.delete(keys.upload_facts(upload))


def drop(storage: Storage, upload: str, job: str) -> None:
    """Remove the mark of `job` on the upload. If no other job uses the upload, delete it.

    The upload itself is deleted last. If the deletion is interrupted, a later pass therefore finds the upload again.
    """
    storage.delete(keys.upload_use(upload, job))
    if not _other_uses(storage, upload, job):
        storage.delete(keys.upload_facts(upload))
        storage.delete(upload)


def expire_uploads(context: WorkerContext, now: datetime) -> int:
    """Remove unused uploads in the next window of the walk. Return their number."""
    return sweep_uploads(context, next_keys(context, "uploads", keys.UPLOADS, KEYS_A_PASS), now)


def sweep_uploads(context: WorkerContext, found: Iterable[str], now: datetime) -> int:
    """Delete the expired and unused uploads among the objects `found`, which must be sorted. Return their number.

    The API stops accepting an upload for new jobs an hour before the upload expires, so no job begins to use it during
    the deletion. If a job was not accepted with this upload within an hour after it had marked the upload, its mark
    does not count, and is deleted when the upload has expired. Marks on an upload that does not exist are deleted after
    an hour.
    """
    removed = 0
    uploads_of = lru_cache(_JOBS_IN_MEMORY)(partial(_uploads_of, context.storage))
    for upload, beside in groupby(found, keys.upload_of):
        if upload is not None:
            judge = partial(_judge, context, upload, list(beside), uploads_of, now)
            removed += bool(context.bad_objects.alone("uploads", upload, judge))
    return removed


def _judge(
    context: WorkerContext,
    upload: str,
    beside: list[str],
    uploads_of: Callable[[str], frozenset[str] | None],
    now: datetime,
) -> bool:
    """Delete the upload if it has expired and is not used. Return whether it was deleted.

    `beside` lists the keys that the walk has found and that belong to the upload: its marks, its description and the
    upload itself, or some of them. `uploads_of` returns the uploads of a job like `_uploads_of`, but it reads the jobs
    that follow each other only once.
    """
    storage = context.storage
    jobs = [_job_of(key) for key in beside if key.startswith(keys.upload_use(upload, ""))]
    if upload in beside and jobs and all(_uses(uploads_of(job), upload) for job in jobs):
        return False  # Most uploads end here, without a separate request.
    if upload not in beside and not has(storage, upload):
        delete_all(storage, (key for key in beside if written_before(storage, key, now - UNACCEPTED)))
        return False
    if not written_before(storage, upload, now - context.settings.upload_lifetime):
        return False
    uses = list(storage.list(keys.upload_use(upload, "")))
    idle = [use for use in uses if _is_idle(storage, upload, use, now)]
    for use in idle:
        storage.delete(use)
    if len(idle) < len(uses):
        return False
    _, tenant, upload_id = upload.split("/")
    # The quota is freed first, because after the deletion no later pass would find the upload and free the quota.
    context.ledger.quotas.take_uploads(tenant, [upload_id])
    storage.delete(keys.upload_facts(upload))
    storage.delete(upload)
    return True


def _is_idle(storage: Storage, upload: str, use: str, now: datetime) -> bool:
    """Return whether the mark belongs to a job that was never accepted, or that was accepted with other uploads.

    For a recent mark, return False, because its job may be about to be accepted.
    """
    return not _uses(_uploads_of(storage, _job_of(use)), upload) and written_before(storage, use, now - UNACCEPTED)


def _uses(uploads: frozenset[str] | None, upload: str) -> bool:
    return uploads is None or upload in uploads


def _uploads_of(storage: Storage, job: str) -> frozenset[str] | None:
    """Return the uploads with which the job was accepted, none if it was not accepted.

    Return None, which stands for every upload, if the job is a run, which may have too many, or if its records are
    unreadable or being removed.
    """
    try:
        submission = read_submission(storage, job)
    except ObjectMissing:
        return frozenset()
    except RecordUnreadable:
        return None
    if submission.run is not None:
        return None
    try:
        return frozenset(item.source for item in read_items(storage, submission))
    except (ObjectMissing, RecordUnreadable):
        return None


def _job_of(use: str) -> str:
    return use.rsplit("/", 1)[1]


def _other_uses(storage: Storage, upload: str, job: str) -> bool:
    return any(use != keys.upload_use(upload, job) for use in storage.list(keys.upload_use(upload, "")))
