"""Compares storage with the ledger, job by job: what storage knows better becomes true in the ledger."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from maskrelay.contract import keys
from maskrelay.contract.jobs import FRAMES_PER_PART
from maskrelay.errors import ObjectMissing
from maskrelay.storage.cancels import cancel_intent
from maskrelay.storage.protocol import Storage
from maskrelay.storage.tombstones import tombstone_of
from worker.announce import resume
from worker.conclude import conclude, read_result
from worker.parts import Parts
from worker.submissions import read_submission
from worker.visible import Visible

log = logging.getLogger(__name__)
#: A marker whose submission never came is removed after this.
ORPHANED = timedelta(hours=1)


def reconcile(parts: Parts) -> int:
    """Bring every live job's record to what storage says; how many jobs are live. Safe anywhere, at any time."""
    live = 0
    for job in _live_jobs(parts.storage):
        live += 1
        reconcile_job(parts, job)
    return live


def _live_jobs(storage: Storage) -> Iterator[str]:
    for key in storage.list(keys.LIVE):
        job = key.removeprefix(keys.LIVE)
        if keys.ID.fullmatch(job):
            yield job


def reconcile_job(parts: Parts, job: str) -> None:
    """`gone.json`, `result.json`, `cancel.json`, `job.json`, in that order."""
    storage = parts.storage
    if tombstone := tombstone_of(storage, job):
        parts.ledger.jobs.forget(job, tombstone.tenant)
        storage.delete(keys.live_cancel(job))
        storage.delete(keys.live(job))
        return
    result = read_result(parts, job)
    intent = cancel_intent(storage, job)
    try:
        submission = read_submission(storage, job)
    except ObjectMissing:
        _forget_orphan(storage, job)
        return
    if result is not None:
        conclude(parts, submission, result)
        resume(parts, submission)
        return
    jobs = parts.ledger.jobs
    one = submission
    fresh = jobs.create(job, one.tenant, one.lane, one.total, one.created_at, size=one.size, deadline=one.deadline)
    if fresh:
        log.warning("restored job_id=%s", job)
    _adopt_parts(parts, job)
    if intent is not None:
        jobs.cancel(job, intent.reason)


def _adopt_parts(parts: Parts, job: str) -> None:
    """List the parts that the ledger does not; the visible line of a frame is taken, the others are refused."""
    listed = parts.ledger.jobs.parts(job)
    known = {name for name, _ in listed}
    names = {keys.part_of(key) for key in parts.storage.list(keys.outcomes(job))}
    if names <= known:
        return
    frames = FRAMES_PER_PART * sum(1 for _ in parts.storage.list(keys.frames(job)))
    visible = Visible(parts.storage, job, frames, listed)
    for name in sorted(names - known):
        parts.ledger.claims.adopt(job, name, visible.lines_of(name))


def _forget_orphan(storage: Storage, job: str) -> None:
    try:
        age = datetime.now(UTC) - storage.head(keys.live(job)).modified
    except ObjectMissing:
        return
    if age > ORPHANED:
        storage.delete(keys.live(job))
