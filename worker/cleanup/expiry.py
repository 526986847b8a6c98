"""The removal of data at the end of its retention period: results, event bodies, audit files and ledger records."""

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
from maskrelay.storage.markers import tombstone_of, write_tombstone
from maskrelay.storage.stored_records import owner_of
from worker.cleanup.walks import delete_all, next_keys, written_before
from worker.context import WorkerContext

log = logging.getLogger(__name__)
KEYS_A_PASS = 2000
RECORDS_A_PASS = 1000


def expire_jobs(context: WorkerContext, now: datetime) -> int:
    """Check the next window of the objects of all jobs, and mark expired jobs as deleted. Return their number."""
    return judge_jobs(context, next_keys(context, "jobs", keys.JOBS, KEYS_A_PASS), now)


def judge_jobs(context: WorkerContext, found: Iterable[str], now: datetime) -> int:
    """Check the jobs to which the objects `found` belong, and mark the expired jobs as deleted.

    `found` must be sorted. Return the number of these jobs.
    """
    named = (key.removeprefix(keys.JOBS).partition("/") for key in found)
    expired = 0
    for job, of_job in groupby(named, lambda parts: parts[0]):
        names = {name for _, _, name in of_job}
        if keys.ID.fullmatch(job):
            expired += bool(context.bad_objects.alone("expiry", job, partial(_judge, context, job, names, now)))
    return expired


def _judge(context: WorkerContext, job: str, names: set[str], now: datetime) -> bool:
    """Write the tombstone of the job if it has expired. Return whether it has.

    A deleted job that has objects again is marked for removal. For other jobs, expired event bodies are deleted.
    """
    storage, settings = context.storage, context.settings
    if _name(job, keys.gone(job)) in names:
        if len(names) > 1:
            with suppress(ObjectExists):
                storage.create(keys.removing(job), b"")
        return False
    ends = [key for key in (keys.result(job), keys.halted(job)) if _name(job, key) in names]
    if ends and written_before(storage, ends[0], now - settings.result_lifetime):
        return _expire(context, job, now)
    for name in names:
        event = keys.event_of(name)
        if event and written_before(storage, keys.delivered(job, event), now - settings.delivery_lifetime):
            # The delivery marker is kept, because the event must not be delivered twice.
            storage.delete(keys.event(job, event))
    return False


def _name(job: str, key: str) -> str:
    return key.removeprefix(keys.objects(job))


def _expire(context: WorkerContext, job: str, now: datetime) -> bool:
    tenant = owner_of(context.storage, job)
    if tenant is None:
        return False
    write_tombstone(context.storage, job, Tombstone(tenant=tenant, at=now, reason="expired"))
    context.audit.write(AuditEntry(at=now, did="expired", tenant=tenant, job=job))
    log.info("job expired", extra={"job_id": job})
    return True


def expire_audit(context: WorkerContext, now: datetime) -> int:
    """Remove the oldest expired files of the audit log. Return their number."""
    kept = keys.audit_hour(hour_of(now - context.settings.audit_lifetime))
    old = list(islice(takewhile(lambda key: key < kept, context.storage.list(keys.AUDIT)), KEYS_A_PASS))
    delete_all(context.storage, old)
    return len(old)


def retire_records(context: WorkerContext) -> int:
    """Check the next window of the ledger's records, and delete those of jobs that ended long ago.

    Return the number of these jobs, which are then served from storage. If an old backup of Redis has restored the
    unfinished record of a deleted job, this record is deleted too.
    """
    jobs, sweeps = context.ledger.jobs, context.ledger.sweep_state
    place, found = jobs.scan(sweeps.place("records") or "0", RECORDS_A_PASS)
    sweeps.move("records", place)
    return _retire(context, found)


def retire_all(context: WorkerContext) -> int:
    """Like `retire_records`, but for all records at once."""
    retired, place = 0, ""
    while place != "0":
        place, found = context.ledger.jobs.scan(place or "0", RECORDS_A_PASS)
        retired += _retire(context, found)
    return retired


def _retire(context: WorkerContext, found: Iterable[str]) -> int:
    alone = context.bad_objects.alone
    return sum(bool(alone("records", job, partial(_retire_one, context, job))) for job in found)


def _retire_one(context: WorkerContext, job: str) -> bool:
    verdict = context.ledger.jobs.retire(job, context.settings.ledger_lifetime)
    if verdict == "running" and (tombstone := tombstone_of(context.storage, job)):
        context.ledger.jobs.forget(job, tombstone.tenant)
    return verdict == "retired"
