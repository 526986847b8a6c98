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
    """Lay the tombstone, then let the ledger forget the job: without claims nothing more of it is begun or counted.

    The job's record is not read as a whole: one that cannot be read can be deleted. Where the ledger fails the sweep
    does its part. Safe to repeat. Raises NotFound, Gone, and StorageUnavailable with the job as it was.
    """
    check_owned(service, caller.tenant, job)
    tombstone = Tombstone(tenant=caller.tenant, at=datetime.now(UTC), reason="deleted", by=caller.name)
    entomb(service.storage, job, tombstone)
    with suppress(LedgerUnavailable):
        service.ledger.jobs.forget(job, caller.tenant)
