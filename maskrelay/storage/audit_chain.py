"""The chain of one process's audit files in storage. Each file contains the key and the hash of the previous file."""

import hashlib
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from maskrelay.contract.records.audit_entries import Before, sealed
from maskrelay.contract.records.keys import audit_file
from maskrelay.errors import ObjectExists
from maskrelay.storage.protocol import Storage

log = logging.getLogger(__name__)
Role = Literal["api", "worker"]


#: When its chain has this many files, a process starts a new chain at the end of the hour. File numbers have nine
#: digits, so a chain cannot grow forever.
FILES_MOST = 900_000_000


@dataclass(frozen=True, slots=True)
class File:
    """One audit file that is to be written.

    If the response to an earlier write was lost, the file may already be in storage.
    """

    key: str
    body: bytes
    hour: str
    lines: int
    #: Whether this is the last file of the process for this hour.
    closed: bool
    #: The number of entries that were lost before this file. Its seal contains this number.
    lost: int


class Chain:
    """The chain of one process's audit files.

    Use it from one thread at a time. `open` is the hour for which files were written, but not yet the last one. It is
    None if there is no such hour.
    """

    def __init__(self, storage: Storage, role: Role) -> None:
        self._storage = storage
        self._role = role
        self._begin()

    def _begin(self) -> None:
        self._process = f"{self._role}-{secrets.token_hex(8)}"
        self._number = 0
        self._before: Before | None = None
        self.open: str | None = None

    def next(self, hour: str, lines: Sequence[bytes], *, closed: bool, lost: int) -> File:
        """Return the next file of the chain, sealed. It is not written yet."""
        body = sealed(lines, self._before, closed=closed, lost=lost)
        return File(audit_file(hour, self._process, self._number), body, hour, len(lines), closed, lost)

    def write(self, file: File) -> bool:
        """Write the file that `next` returned, and return True.

        If a different file has the same name, return False and start a new chain. Raises StorageError if storage fails.
        In this case, the file may have been written nevertheless, so call this method again with the same file.
        """
        try:
            self._storage.create(file.key, file.body, "application/x-ndjson")
        except ObjectExists:
            if self._storage.get(file.key) != file.body:
                log.error("an unknown file has the next name of the audit log; a new chain begins")  # noqa: TRY400
                self._begin()
                return False
        self._before = Before(key=file.key, sha256=hashlib.sha256(file.body).hexdigest())
        self._number += 1
        self.open = None if file.closed else file.hour
        if file.closed and self._number >= FILES_MOST:
            self._begin()
        return True
