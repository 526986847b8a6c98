"""Cancels and deletes jobs on request: the intent is durable before the response is sent."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from api.auth.scopes import Caller
from api.dependencies import Dependencies
from api.jobs.lookup import JobSnapshot, check_owned
from maskrelay.contract.records import keys
from maskrelay.contract.records.endings import BY_CALLER, Tombstone
from maskrelay.errors import LedgerUnavailable, NotCancellable
from maskrelay.rules.lifecycle import may_cancel
from maskrelay.storage.markers import entomb, intend_cancel


def cancel(dependencies: Dependencies, known: JobSnapshot) -> JobSnapshot:
    """Cancel the job and return it once the intent is durable. Raises NotCancellable if it is finishing or has ended.

    The ledger may be unavailable: the sweep reads the intent. Repeating the call changes nothing.
    """
    if not may_cancel(known.state):
        raise NotCancellable
    intend_cancel(dependencies.storage, known.id, BY_CALLER)
    record = replace(known.record, state="cancelling") if known.record is not None else None
    with suppress(LedgerUnavailable):
        before = dependencies.ledger.jobs.cancel(known.id, BY_CALLER)
        if before is not None and not may_cancel(before):  # it has ended in the meantime
            dependencies.storage.delete(keys.live_cancel(known.id))
            raise NotCancellable
        dependencies.ledger.wake_ups.wake("finish")
        record = dependencies.ledger.jobs.get(known.id) or record
    return replace(known, record=record, cancelling=True)


def delete(dependencies: Dependencies, job: str, caller: Caller) -> None:
    """Write the tombstone, then make the ledger forget the job: without claims, no more work is begun or counted.

    The job's record is not parsed as a whole, so an unreadable job can be deleted. If the ledger fails, the sweep does
    its part. Safe to repeat. Raises NotFound, Gone, and StorageUnavailable with the job unchanged.
    """
    check_owned(dependencies, caller.tenant, job)
    tombstone = Tombstone(tenant=caller.tenant, at=datetime.now(UTC), reason="deleted", by=caller.name)
    entomb(dependencies.storage, job, tombstone)
    with suppress(LedgerUnavailable):
        dependencies.ledger.jobs.forget(job, caller.tenant)
