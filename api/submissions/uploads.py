"""Uploads, which are streamed into storage and hashed as they arrive.

If the request fails, all its uploads are removed.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from anyio import CancelScope

from api.dependencies import Dependencies, in_thread
from api.http.json_pointer import pointer
from maskrelay.contract.formats.sniff import HEAD_BYTES, Kind, kind_of
from maskrelay.contract.record import Record
from maskrelay.contract.records import keys
from maskrelay.errors import BodyTooLarge, ObjectMissing, StorageError, UploadUnknown
from maskrelay.storage.protocol import Storage, Writer
from maskrelay.storage.stored_records import read_record, record_body

#: The last part of the lifetime of an unused upload. During this time, new jobs may not use the upload.
REFUSED_BEFORE = timedelta(hours=1)
_NAME_LENGTH, _PATH_LENGTH = 255, 1024
_DRIVE = re.compile("[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that is completely in storage."""

    id: str
    key: str
    size: int
    sha256: str
    source_name: str | None
    at: datetime
    kind: Kind = "still"

    def identity(self) -> list[Any]:
        """Return what a fingerprint contains of the upload."""
        return [self.size, self.sha256]

    def is_expired(self, now: datetime, lifetime: timedelta) -> bool:
        return now - self.at > lifetime - REFUSED_BEFORE

    def facts(self) -> "UploadFacts":
        return UploadFacts(size=self.size, sha256=self.sha256, source_name=self.source_name, at=self.at, kind=self.kind)


class UploadFacts(Record):
    """The record `uploads/{tenant}/{id}.json`, which is written when the upload is complete.

    Without this record, jobs cannot refer to the upload. With it, the API can accept a job without reading gigabytes
    again.
    """

    size: int
    sha256: str
    source_name: str | None = None
    at: datetime
    kind: Kind = "still"


class Incoming:
    """The uploads of one request, which arrive one after another.

    `kept` is true when the uploads must not be removed, because they may belong to an accepted job, or because jobs can
    refer to them by id. Every method blocks, and may raise StorageUnavailable.
    """

    def __init__(self, storage: Storage, tenant: str, max_bytes: int) -> None:
        self._storage = storage
        self._tenant = tenant
        self._max_bytes = max_bytes
        self._writer: Writer | None = None
        self.uploads: list[Upload] = []
        self.kept = False

    def begin(self, source_name: str | None) -> None:
        self._id = keys.new_id()
        self._name = _plain_name(source_name)
        self._hash, self._size, self._head = hashlib.sha256(), 0, b""
        self._writer = self._storage.writer(keys.upload(self._tenant, self._id))

    def write(self, chunk: bytes) -> None:
        """Write a chunk. Raises BodyTooLarge if this upload exceeds its limit."""
        assert self._writer is not None
        self._size += len(chunk)
        if self._size > self._max_bytes:
            detail = f"An upload may have at most {self._max_bytes} bytes (MASKRELAY_MAX_IMAGE_BYTES)."
            raise BodyTooLarge(detail, pointer=pointer("image", len(self.uploads)))
        self._hash.update(chunk)
        if len(self._head) < HEAD_BYTES:
            self._head += chunk[:HEAD_BYTES]
        self._writer.write(chunk)

    def end(self) -> None:
        assert self._writer is not None
        # The upload need not be durable yet. Its record or `job.json` is written before the response is sent, and that
        # write makes the upload durable too.
        with self._storage.flushed_later():
            self._writer.commit()
        self._writer = None
        key = keys.upload(self._tenant, self._id)
        sha256 = self._hash.hexdigest()
        kind = kind_of(self._head)
        self.uploads.append(Upload(self._id, key, self._size, sha256, self._name, datetime.now(UTC), kind))

    def publish(self) -> None:
        """Write the record of each upload, so that jobs can refer to it by its id."""
        facts = {_facts_key(upload.key): record_body(upload.facts()) for upload in self.uploads}
        self._storage.put_all(facts, "application/json")
        self.kept = True

    def discard(self) -> None:
        """Remove the uploads, their records, and the objects that say which job uses them.

        If this fails, the sweep removes them later. Until then they do no harm, because no caller has their ids.
        """
        with suppress(StorageError):
            if self._writer is not None:
                self._writer.abort()
        with suppress(StorageError):
            for upload in self.uploads:
                for key in (upload.key, _facts_key(upload.key), *self._storage.list(keys.upload_use(upload.key, ""))):
                    self._storage.delete(key)
        self.uploads.clear()


@asynccontextmanager
async def incoming_of(dependencies: Dependencies, tenant: str) -> AsyncIterator[Incoming]:
    """Yield the uploads of a request, and remove them afterwards unless they are kept."""
    incoming = Incoming(dependencies.storage, tenant, dependencies.limits.image_bytes)
    try:
        yield incoming
    finally:
        if not incoming.kept:
            with CancelScope(shield=True):
                await in_thread(incoming.discard)


def find_upload(storage: Storage, tenant: str, upload_id: str) -> Upload:
    """Return an upload by its id. Raises UploadUnknown, also for an upload of another tenant."""
    if not keys.ID.fullmatch(upload_id):
        raise UploadUnknown
    key = keys.upload(tenant, upload_id)
    try:
        facts = read_record(storage, _facts_key(key), UploadFacts)
    except ObjectMissing:
        raise UploadUnknown from None
    return Upload(upload_id, key, facts.size, facts.sha256, facts.source_name, facts.at, facts.kind)


def _facts_key(upload_key: str) -> str:
    return keys.upload_facts(upload_key)


def _plain_name(name: str | None) -> str | None:
    """Return the name of a file with its folders. It is used as a label, never as a path.

    If the path is absolute, only the file's own name is kept, because the folders would reveal the layout of the
    caller's disk.
    """
    parts = [part for part in (name or "").replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    if (name or "").startswith(("/", "\\")) or (parts and _DRIVE.fullmatch(parts[0])):
        parts = parts[-1:]
    plain = ["".join(letter for letter in part if letter.isprintable())[:_NAME_LENGTH] for part in parts]
    while len("/".join(plain)) > _PATH_LENGTH:  # drop leading folders first, because the file's own name matters most
        plain.pop(0)
    return "/".join(filter(None, plain)) or None
