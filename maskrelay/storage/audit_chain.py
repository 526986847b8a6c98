"""The chain of one process's audit files in storage: the name of the next file, and the hash of the previous one."""

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


#: After this many files a process starts a new chain, at the end of an hour: file numbers have nine digits.
FILES_MOST = 900_000_000


@dataclass(frozen=True, slots=True)
class File:
    """One file as it will be, or possibly already is, in storage."""

    key: str
    body: bytes
    hour: str
    lines: int
    closed: bool
    #: The number of entries lost before it, according to its seal.
    lost: int


class Chain:
    """The chain of one process's audit files. Use it from one thread at a time.

    `open`: the hour that has files and is not closed.
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
        """Write the file that `next` returned. Return False if another file has its name, and then a new chain starts.

        Raises StorageError. The file may have been written nevertheless, so the same file is tried again.
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
