"""Expire data past its retention period: results, event bodies, audit files, ledger records."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import groupby, islice, takewhile

from maskrelay.contract.records import keys
from maskrelay.contract.records.audit_entries import AuditEntry, hour_of
from maskrelay.contract.records.endings import Tombstone
from maskrelay.errors import ObjectExists
from maskrelay.storage.markers import entomb, tombstone_of
from maskrelay.storage.stored_records import owner_of
from worker.cleanup.walks import delete_all, next_keys, written_before
from worker.context import WorkerContext

log = logging.getLogger(__name__)
KEYS_A_PASS = 2000
RECORDS_A_PASS = 1000


def expire_jobs(parts: WorkerContext, now: datetime) -> int:
    """Check the next window of all jobs' objects; return how many jobs expired. An expired job is deleted."""
    return judge_jobs(parts, next_keys(parts, "jobs", keys.JOBS, KEYS_A_PASS), now)


def judge_jobs(parts: WorkerContext, found: Iterable[str], now: datetime) -> int:
    """Check the jobs of these objects, which must be sorted; return how many expired."""
    named = (key.removeprefix(keys.JOBS).partition("/") for key in found)
    expired = 0
    for job, of_job in groupby(named, lambda one: one[0]):
        names = {name for _, _, name in of_job}
        if keys.ID.fullmatch(job):
            expired += bool(parts.bad_objects.alone("expiry", job, partial(_judge, parts, job, names, now)))
    return expired


def _judge(parts: WorkerContext, job: str, names: set[str], now: datetime) -> bool:
    """Return whether the job expired now. A deleted job with new objects is marked for removal again."""
    storage, settings = parts.storage, parts.settings
    if _name(job, keys.gone(job)) in names:
        if len(names) > 1:
            with suppress(ObjectExists):
                storage.create(keys.removing(job), b"")
        return False
    ends = [key for key in (keys.result(job), keys.halted(job)) if _name(job, key) in names]
    if ends and written_before(storage, ends[0], now - settings.result_lifetime):
        return _expire(parts, job, now)
    for name in names:
        event = keys.event_of(name)
        if event and written_before(storage, keys.delivered(job, event), now - settings.delivery_lifetime):
            storage.delete(keys.event(job, event))  # the marker is kept, so that nothing is delivered twice
    return False


def _name(job: str, key: str) -> str:
    return key.removeprefix(keys.objects(job))


def _expire(parts: WorkerContext, job: str, now: datetime) -> bool:
    tenant = owner_of(parts.storage, job)
    if tenant is None:
        return False
    entomb(parts.storage, job, Tombstone(tenant=tenant, at=now, reason="expired"))
    parts.audit.write(AuditEntry(at=now, did="expired", tenant=tenant, job=job))
    log.info("job expired", extra={"job_id": job})
    return True


def expire_audit(parts: WorkerContext, now: datetime) -> int:
    """Remove the oldest expired files of the audit log; return how many."""
    kept = keys.audit_hour(hour_of(now - parts.settings.audit_lifetime))
    old = list(islice(takewhile(lambda key: key < kept, parts.storage.list(keys.AUDIT)), KEYS_A_PASS))
    delete_all(parts.storage, old)
    return len(old)


def retire_records(parts: WorkerContext) -> int:
    """Delete the ledger's records of jobs that ended long ago, in the next window; return how many.

    These jobs are then served from storage. The record of a deleted job, restored by an old backup of Redis, is deleted
    too.
    """
    jobs, sweeps = parts.ledger.jobs, parts.ledger.sweeps
    place, found = jobs.scan(sweeps.place("records") or "0", RECORDS_A_PASS)
    sweeps.move("records", place)
    return _retire(parts, found)


def retire_all(parts: WorkerContext) -> int:
    """As `retire_records`, for all records."""
    retired, place = 0, ""
    while place != "0":
        place, found = parts.ledger.jobs.scan(place or "0", RECORDS_A_PASS)
        retired += _retire(parts, found)
    return retired


def _retire(parts: WorkerContext, found: Iterable[str]) -> int:
    alone = parts.bad_objects.alone
    return sum(bool(alone("records", job, partial(_retire_one, parts, job))) for job in found)


def _retire_one(parts: WorkerContext, job: str) -> bool:
    verdict = parts.ledger.jobs.retire(job, parts.settings.ledger_lifetime)
    if verdict == "running" and (tombstone := tombstone_of(parts.storage, job)):
        parts.ledger.jobs.forget(job, tombstone.tenant)
    return verdict == "retired"
