"""Deleting a job on request: gone for everybody once this has answered, its objects soon after."""

from contextlib import suppress
from datetime import UTC, datetime

from api.callers import Caller
from api.known import Known
from api.service import Service
from maskrelay.contract.tombstones import Tombstone
from maskrelay.errors import LedgerUnavailable
from maskrelay.storage.tombstones import entomb


def delete(service: Service, known: Known, caller: Caller) -> None:
    """Lay the tombstone, then let the ledger forget the job: without claims nothing more of it is begun or counted.

    Where the ledger fails the sweep does it. Safe to repeat. Raises StorageUnavailable with the job as it was.
    """
    tombstone = Tombstone(tenant=caller.tenant, at=datetime.now(UTC), reason="deleted", by=caller.name)
    entomb(service.storage, known.id, tombstone)
    with suppress(LedgerUnavailable):
        service.ledger.jobs.forget(known.id, caller.tenant)
