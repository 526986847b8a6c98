"""Writes of large objects to a server, in parts of at least 8 MiB.

An object becomes visible when all its parts have been sent.
"""

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from maskrelay.errors import StorageError

_PART_BYTES = 8 << 20
_PARTS_OF_ONE_SIZE = 2000


def _part_bytes(number: int) -> int:
    """Return the size of part `number`, counted from 1.

    The size doubles after every 2000 parts. S3 accepts 10,000 parts, so an object can be as large as 484 GiB.
    """
    return _PART_BYTES << ((number - 1) // _PARTS_OF_ONE_SIZE)


class PartUpload(Protocol):
    """The upload of one object in parts. Every method may raise StorageUnavailable."""

    def send(self, number: int, body: bytes) -> None:
        """Send part `number`, counted from 1. The first call begins the upload."""

    def complete(self) -> None:
        """Make the object of all sent parts visible."""

    def abort(self) -> None:
        """Discard the parts."""


class PartWriter:
    """A writer of one object (see `protocol.Writer`).

    It keeps one part in memory. An object that is smaller than one part is written by one call of `put`.
    """

    def __init__(self, upload: PartUpload, put: Callable[[bytes], None]) -> None:
        self._upload = upload
        self._put = put
        self._held = bytearray()
        self._parts = 0
        self._is_committed = False

    def write(self, chunk: bytes) -> None:
        self._held += chunk
        while len(self._held) >= _part_bytes(self._parts + 1):
            self._send_part()

    def _send_part(self) -> None:
        number = self._parts + 1
        body = bytes(self._held[: _part_bytes(number)])
        self._parts = number  # counted first, so that an upload whose first part fails is aborted too
        self._upload.send(number, body)
        del self._held[: len(body)]

    def commit(self) -> None:
        if not self._parts:
            self._put(bytes(self._held))
            return
        if self._held:
            self._send_part()
        self._upload.complete()
        self._is_committed = True

    def abort(self) -> None:
        """Discard the parts that were sent so far. If that fails, the server discards them later."""
        if self._parts and not self._is_committed:
            with suppress(StorageError):
                self._upload.abort()
        self._parts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()
