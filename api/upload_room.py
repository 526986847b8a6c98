"""The byte quota: bodies that are being received, and uploads that no job has used."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from api.incoming import Incoming, Upload
from api.service import Service
from maskrelay.errors import LedgerFull, LedgerUnavailable
from maskrelay.ledger.room import Load, UnusedUpload


class ByteCheck:
    """Checks what a request has received so far, by `check`, which raises what refuses it.

    Once the ledger does not answer it is not asked again, since each question might take seconds.
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


def byte_check(service: Service, tenant: str) -> ByteCheck:
    """The check of bytes that become uploads: raises BytesQuotaReached. Uploads need storage alone."""
    return ByteCheck(
        lambda received: service.ledger.room.check(tenant, Load(bytes=received), service.quotas(tenant)),
    )


def publish(service: Service, tenant: str, incoming: Incoming) -> None:
    """Let jobs use the uploads, and count them until one does; raises BytesQuotaReached, StorageUnavailable.

    Without the ledger, and where it is so full that what it has left is for accepted jobs, they are not counted.
    """
    room, lifetime = service.ledger.room, service.limits.upload_lifetime
    try:
        with suppress(LedgerUnavailable, LedgerFull):
            room.check_memory()
            unused = [UnusedUpload(one.id, one.size, lifetime) for one in incoming.uploads]
            room.keep_uploads(tenant, unused, service.quotas(tenant))
        incoming.publish()
    finally:
        if not incoming.kept:
            with suppress(LedgerUnavailable):
                room.take_uploads(tenant, [one.id for one in incoming.uploads])


@contextmanager
def uploads_used(service: Service, tenant: str, uploads: Sequence[Upload], incoming: Incoming) -> Iterator[None]:
    """The uploads count as the job's alone; unless it is accepted, they count as unused again as they did before.

    Raises LedgerUnavailable.
    """
    room = service.ledger.room
    taken = [] if incoming.uploads else room.take_uploads(tenant, {one.id for one in uploads})
    try:
        yield
    finally:
        if taken and not incoming.kept:
            with suppress(LedgerUnavailable):
                room.put_back_uploads(tenant, taken)
