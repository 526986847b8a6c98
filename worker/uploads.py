"""Uploads that no job uses any more, or never did."""

from datetime import datetime

from maskrelay.contract import keys
from maskrelay.storage.protocol import Storage, has
from worker.parts import Parts
from worker.rounds import next_keys, written_before

KEYS_A_PASS = 2000


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
    """Remove the uploads of the walk's next window that are past their age and that no job uses; how many.

    An hour before that age the API refuses them in new jobs, so that none is taken up meanwhile. The mark of a job that
    was never accepted is no use.
    """
    removed = 0
    storage, oldest = parts.storage, now - parts.settings.upload_lifetime
    for key in next_keys(parts, "uploads", keys.UPLOADS, KEYS_A_PASS):
        if not keys.ID.fullmatch(key.rsplit("/", 1)[1]) or key.count("/") != 2:
            continue
        if written_before(storage, key, oldest) and not _is_used(storage, key):
            for use in storage.list(keys.upload_use(key, "")):
                storage.delete(use)
            storage.delete(keys.upload_facts(key))
            storage.delete(key)
            removed += 1
    return removed


def _other_uses(storage: Storage, upload: str, job: str) -> bool:
    return any(use != keys.upload_use(upload, job) for use in storage.list(keys.upload_use(upload, "")))


def _is_used(storage: Storage, upload: str) -> bool:
    uses = storage.list(keys.upload_use(upload, ""))
    return any(has(storage, keys.accepted(use.rsplit("/", 1)[1])) for use in uses)
