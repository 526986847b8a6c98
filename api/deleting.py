"""Delete a job on request: gone for every caller once the response is sent; its objects are removed soon after."""

from contextlib import suppress
from datetime import UTC, datetime

from api.callers import Caller
from api.known import check_owned
from api.service import Service
from maskrelay.contract.tombstones import Tombstone
from maskrelay.errors import LedgerUnavailable
from maskrelay.storage.tombstones import entomb


def delete(service: Service, job: str, caller: Caller) -> None:
    """Write the tombstone, then make the ledger forget the job: without claims, no more work is begun or counted.

    The job's record is not parsed as a whole, so an unreadable job can be deleted. If the ledger fails, the sweep does
    its part. Safe to repeat. Raises NotFound, Gone, and StorageUnavailable with the job unchanged.
    """
    check_owned(service, caller.tenant, job)
    tombstone = Tombstone(tenant=caller.tenant, at=datetime.now(UTC), reason="deleted", by=caller.name)
    entomb(service.storage, job, tombstone)
    with suppress(LedgerUnavailable):
        service.ledger.jobs.forget(job, caller.tenant)
