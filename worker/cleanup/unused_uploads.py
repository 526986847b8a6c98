"""Remove uploads that no job uses any more, or that none ever used."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

from maskrelay.contract.records import keys
from maskrelay.storage.protocol import Storage, has
from worker.cleanup.walks import delete_all, next_keys, written_before
from worker.context import WorkerContext

KEYS_A_PASS = 2000
#: The longest time from the first mark of a submission to its acceptance.
UNACCEPTED = timedelta(hours=1)


def unpublish(storage: Storage, upload: str, job: str) -> None:
    """Let no new job refer to the upload, unless a job other than `job` uses it."""
    if not _other_uses(storage, upload, job):
        storage.delete(keys.upload_facts(upload))


def drop(storage: Storage, upload: str, job: str) -> None:
    """End the use by `job`, and delete the upload if that was the last.

    Its bytes are deleted last, so that it is found again.
    """
    storage.delete(keys.upload_use(upload, job))
    if not _other_uses(storage, upload, job):
        storage.delete(keys.upload_facts(upload))
        storage.delete(upload)


def expire_uploads(context: WorkerContext, now: datetime) -> int:
    """Remove stray uploads in the walk's next window; return how many."""
    return sweep_uploads(context, next_keys(context, "uploads", keys.UPLOADS, KEYS_A_PASS), now)


def sweep_uploads(context: WorkerContext, found: Iterable[str], now: datetime) -> int:
    """Delete the expired and unused uploads among these objects, which must be sorted; return how many.

    An hour before they expire, the API refuses them in new jobs, so that none is taken up meanwhile. Marks of jobs that
    were not accepted within an hour do not count as uses and are deleted, and so are the marks of an upload that does
    not exist.
    """
    removed = 0
    for upload, beside in groupby(found, keys.upload_of):
        if upload is not None:
            judge = partial(_judge, context, upload, list(beside), now)
            removed += bool(context.bad_objects.alone("uploads", upload, judge))
    return removed


def _judge(context: WorkerContext, upload: str, beside: list[str], now: datetime) -> bool:
    """Check one upload.

    `beside`: the objects of the upload that the walk found, possibly including the upload itself.
    """
    storage = context.storage
    if upload not in beside and not has(storage, upload):
        delete_all(storage, (key for key in beside if written_before(storage, key, now - UNACCEPTED)))
        return False
    if not written_before(storage, upload, now - context.settings.upload_lifetime):
        return False
    uses = list(storage.list(keys.upload_use(upload, "")))
    idle = [use for use in uses if _is_idle(storage, use, now)]
    for use in idle:
        storage.delete(use)
    if len(idle) < len(uses):
        return False
    _, tenant, upload_id = upload.split("/")
    # first, since nothing would lead to it again after the deletion
    context.ledger.quotas.take_uploads(tenant, [upload_id])
    storage.delete(keys.upload_facts(upload))
    storage.delete(upload)
    return True


def _is_idle(storage: Storage, use: str, now: datetime) -> bool:
    """Return whether the mark is of a job that was never accepted.

    A recent mark may be of a job that is being accepted.
    """
    return not has(storage, keys.accepted(use.rsplit("/", 1)[1])) and written_before(storage, use, now - UNACCEPTED)


def _other_uses(storage: Storage, upload: str, job: str) -> bool:
    return any(use != keys.upload_use(upload, job) for use in storage.list(keys.upload_use(upload, "")))
