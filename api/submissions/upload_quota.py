"""The byte quota: bodies that are being received, and uploads that no job has used."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from api.dependencies import Dependencies
from api.submissions.uploads import Incoming, Upload
from maskrelay.errors import LedgerFull, LedgerUnavailable
from maskrelay.ledger.quotas import UnusedUpload, Usage


class ByteCheck:
    """Checks the bytes received so far with `check`, which raises to refuse them.

    If the ledger does not respond, it is not asked again, because each attempt might take seconds.
    """

    def __init__(self, check: Callable[[int], None]) -> None:
        self._check = check
        self._answers = True

    def __call__(self, received: int) -> None:
        if self._answers:
            try:
                self._check(received)
            except LedgerUnavailable:
                self._answers = False


def byte_check(dependencies: Dependencies, tenant: str) -> ByteCheck:
    """Return the check for bytes that become uploads. Raises BytesQuotaReached. Uploads need only storage."""
    return ByteCheck(
        lambda received: dependencies.ledger.quotas.check(tenant, Usage(bytes=received), dependencies.quotas(tenant)),
    )


def publish(dependencies: Dependencies, tenant: str, incoming: Incoming) -> None:
    """Make the uploads available to jobs, and count them until a job uses them.

    Without the ledger, and if it is so full that its remaining memory is reserved for accepted jobs, they are not
    counted. Raises BytesQuotaReached, StorageUnavailable.
    """
    room, lifetime = dependencies.ledger.quotas, dependencies.limits.upload_lifetime
    try:
        with suppress(LedgerUnavailable, LedgerFull):
            room.check_memory()
            unused = [UnusedUpload(one.id, one.size, lifetime) for one in incoming.uploads]
            room.keep_uploads(tenant, unused, dependencies.quotas(tenant))
        incoming.publish()
    finally:
        if not incoming.kept:
            with suppress(LedgerUnavailable):
                room.take_uploads(tenant, [one.id for one in incoming.uploads])


@contextmanager
def uploads_used(
    dependencies: Dependencies, tenant: str, uploads: Sequence[Upload], incoming: Incoming
) -> Iterator[None]:
    """Count the uploads as the job's alone; unless it is accepted, they count as unused again.

    Raises LedgerUnavailable.
    """
    room = dependencies.ledger.quotas
    taken = [] if incoming.uploads else room.take_uploads(tenant, {one.id for one in uploads})
    try:
        yield
    finally:
        if taken and not incoming.kept:
            with suppress(LedgerUnavailable):
                room.put_back_uploads(tenant, taken)
