"""Remove uploads that no job uses any more, or that none ever used."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

from maskrelay.contract import keys
from maskrelay.storage.protocol import Storage, has
from worker.parts import Parts
from worker.rounds import delete_all, next_keys, written_before

KEYS_A_PASS = 2000
#: A submission takes no longer from its first mark to its acceptance.
UNACCEPTED = timedelta(hours=1)


def unpublish(storage: Storage, upload: str, job: str) -> None:
    """Let no new job name the upload, unless another than `job` uses it."""
    if not _other_uses(storage, upload, job):
        storage.delete(keys.upload_facts(upload))


def drop(storage: Storage, upload: str, job: str) -> None:
    """End the use by `job`; remove the upload if that was the last. Its bytes go last: by them it is found again."""
    storage.delete(keys.upload_use(upload, job))
    if not _other_uses(storage, upload, job):
        storage.delete(keys.upload_facts(upload))
        storage.delete(upload)


def expire_uploads(parts: Parts, now: datetime) -> int:
    """Remove what is stray in the walk's next window; how many uploads."""
    return sweep_uploads(parts, next_keys(parts, "uploads", keys.UPLOADS, KEYS_A_PASS), now)


def sweep_uploads(parts: Parts, found: Iterable[str], now: datetime) -> int:
    """Remove the uploads among these objects, in order, that are past their age and that no job uses; how many.

    An hour before that age the API refuses them in new jobs, so that none is taken up meanwhile. Marks of jobs that
    were not accepted within an hour are no uses and go, and so does what lies beside an upload that is not there.
    """
    removed = 0
    for upload, beside in groupby(found, keys.upload_of):
        if upload is not None:
            judge = partial(_judge, parts, upload, list(beside), now)
            removed += bool(parts.bad_objects.alone("uploads", upload, judge))
    return removed


def _judge(parts: Parts, upload: str, beside: list[str], now: datetime) -> bool:
    """`beside`: what the walk found of the upload, itself perhaps among it."""
    storage = parts.storage
    if upload not in beside and not has(storage, upload):
        delete_all(storage, (key for key in beside if written_before(storage, key, now - UNACCEPTED)))
        return False
    if not written_before(storage, upload, now - parts.settings.upload_lifetime):
        return False
    uses = list(storage.list(keys.upload_use(upload, "")))
    idle = [use for use in uses if _is_idle(storage, use, now)]
    for use in idle:
        storage.delete(use)
    if len(idle) < len(uses):
        return False
    _, tenant, upload_id = upload.split("/")
    parts.ledger.room.take_uploads(tenant, [upload_id])  # first: once it is removed, nothing would lead to it again
    storage.delete(keys.upload_facts(upload))
    storage.delete(upload)
    return True


def _is_idle(storage: Storage, use: str, now: datetime) -> bool:
    """Whether the mark is of a job that was never accepted; a young one may be of a job that is being accepted."""
    return not has(storage, keys.accepted(use.rsplit("/", 1)[1])) and written_before(storage, use, now - UNACCEPTED)


def _other_uses(storage: Storage, upload: str, job: str) -> bool:
    return any(use != keys.upload_use(upload, job) for use in storage.list(keys.upload_use(upload, "")))
