"""The quotas for bodies that are being received, and for uploads that no job has used yet."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from api.dependencies import Dependencies
from api.submissions.uploads import Incoming
from maskrelay.errors import LedgerFull, LedgerUnavailable
from maskrelay.ledger.quotas import UnusedUpload, Usage


class ByteCheck:
    """A check that is called with the number of bytes received so far.

    `check` raises an error to refuse the bytes. If the ledger does not respond once, it is not queried again for this
    body, because each attempt could take seconds.
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
    """Return the check for bytes that become uploads. The check raises BytesQuotaReached.

    If the ledger is unavailable, the check passes, because uploads need only storage.
    """
    return ByteCheck(
        lambda received: dependencies.ledger.quotas.check(tenant, Usage(bytes=received), dependencies.quotas(tenant)),
    )


def check_frames(dependencies: Dependencies, tenant: str, frames: int) -> None:
    """Raise QuotaReached if a job with this number of frames could not be accepted now. Raises LedgerUnavailable."""
    dependencies.ledger.quotas.check(tenant, Usage(jobs=1, frames=frames), dependencies.quotas(tenant))


def publish(dependencies: Dependencies, tenant: str, incoming: Incoming) -> None:
    """Make the uploads available to jobs, and count them against the tenant's quota until a job uses them.

    They are not counted if the ledger is unavailable, or if its remaining memory is reserved for accepted jobs.
    Raises BytesQuotaReached or StorageUnavailable.
    """
    room, lifetime = dependencies.ledger.quotas, dependencies.limits.upload_lifetime
    try:
        with suppress(LedgerUnavailable, LedgerFull):
            room.check_memory()
            unused = [UnusedUpload(upload.id, upload.size, lifetime) for upload in incoming.uploads]
            room.keep_uploads(tenant, unused, dependencies.quotas(tenant))
        incoming.publish()
    finally:
        if not incoming.kept:
            with suppress(LedgerUnavailable):
                room.take_uploads(tenant, [upload.id for upload in incoming.uploads])


@contextmanager
def uploads_used(
    dependencies: Dependencies, tenant: str, uploads: Collection[str], incoming: Incoming
) -> Iterator[None]:
    """Inside the block, count the uploads with these ids as part of the job, and not as unused.

    If the job is not accepted, they are counted as unused again. Raises LedgerUnavailable.
    """
    room = dependencies.ledger.quotas
    taken = [] if incoming.uploads else room.take_uploads(tenant, uploads)
    try:
        yield
    finally:
        if taken and not incoming.kept:
            with suppress(LedgerUnavailable):
                room.put_back_uploads(tenant, taken)
