"""The cancelling and deleting of jobs. The caller's request is stored before the response is sent."""

from dataclasses import replace
from datetime import UTC, datetime

from api.auth.scopes import Caller
from api.dependencies import Dependencies
from api.jobs.lookup import JobSnapshot, check_owned
from maskrelay.contract.records.endings import BY_CALLER, Tombstone
from maskrelay.errors import NotCancellable
from maskrelay.rules.lifecycle import may_cancel
from maskrelay.storage.markers import cancel_job, write_tombstone


def cancel(dependencies: Dependencies, known: JobSnapshot) -> JobSnapshot:
    """Write the request to cancel to storage, and return the job as it is then.

    This also holds for a job that another request is accepting at this moment, so that it has no record yet. If the
    ledger is unavailable, the sweep records the request in the ledger later. Repeating the call changes nothing. Raises
    NotCancellable if the job is finishing or has ended.
    """
    if not may_cancel(known.state):
        raise NotCancellable
    record = replace(known.record, state="cancelling") if known.record is not None else None
    with dependencies.unrecorded.left_to_sweep(known.id):
        if not cancel_job(dependencies.storage, known.id, BY_CALLER, dependencies.ledger.jobs.cancel):
            raise NotCancellable
        dependencies.ledger.wake_ups.wake("finish")
        record = dependencies.ledger.jobs.get(known.id) or record
    return replace(known, record=record, cancelling=True)


def delete(dependencies: Dependencies, job: str, caller: Caller) -> None:
    """Write the tombstone, then remove the job from the ledger, so that no more of its work is claimed or settled.

    A job whose record is unreadable can be deleted too. If the ledger is unavailable after the tombstone was written,
    the sweep removes the job from the ledger later. Repeating the call does no harm. Raises NotFound or Gone,
    StorageUnavailable if the tombstone could not be written, or LedgerUnavailable if the ledger is unavailable and the
    job has no result yet.
    """
    check_owned(dependencies, caller.tenant, job)
    tombstone = Tombstone(tenant=caller.tenant, at=datetime.now(UTC), reason="deleted", by=caller.name)
    write_tombstone(dependencies.storage, job, tombstone)
    with dependencies.unrecorded.left_to_sweep(job):
        dependencies.ledger.jobs.forget(job, caller.tenant, deleted=True)
