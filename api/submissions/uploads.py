"""Stream uploads into storage: hashed as they arrive, and discarded together unless the request succeeds."""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from anyio import CancelScope

from api.dependencies import Dependencies, in_thread
from api.http.json_pointer import pointer
from maskrelay.contract.formats.sniff import HEAD_BYTES, Kind, kind_of
from maskrelay.contract.record import Record
from maskrelay.contract.records import keys
from maskrelay.errors import BodyTooLarge, ObjectMissing, StorageError, UploadUnknown
from maskrelay.storage.protocol import Storage, Writer
from maskrelay.storage.stored_records import read_record, record_body

#: How long before it is swept an unused upload is refused in new jobs.
REFUSED_BEFORE = timedelta(hours=1)
_NAME_LENGTH, _PATH_LENGTH = 255, 1024
_DRIVE = re.compile("[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload that is completely in storage."""

    id: str
    key: str
    size: int
    sha256: str
    source_name: str | None
    at: datetime
    kind: Kind = "still"

    def is_expired(self, now: datetime, lifetime: timedelta) -> bool:
        return now - self.at > lifetime - REFUSED_BEFORE


class UploadFacts(Record):
    """`uploads/{tenant}/{id}.json`: written once the upload is complete; an upload without it is unknown.

    It allows a job to be accepted without reading gigabytes again.
    """

    size: int
    sha256: str
    source_name: str | None = None
    at: datetime
    kind: Kind = "still"


class Incoming:
    """The uploads of one request, in sequence; `kept` is set once they belong to an accepted job or were returned.

    Every method blocks and may raise StorageUnavailable.
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
            detail = f"One upload has at most {self._max_bytes} bytes (MASKRELAY_MAX_IMAGE_BYTES)."
            raise BodyTooLarge(detail, pointer=pointer("image", len(self.uploads)))
        self._hash.update(chunk)
        if len(self._head) < HEAD_BYTES:
            self._head += chunk[:HEAD_BYTES]
        self._writer.write(chunk)

    def end(self) -> None:
        assert self._writer is not None
        self._writer.commit()
        self._writer = None
        key = keys.upload(self._tenant, self._id)
        sha256 = self._hash.hexdigest()
        kind = kind_of(self._head)
        self.uploads.append(Upload(self._id, key, self._size, sha256, self._name, datetime.now(UTC), kind))

    def publish(self) -> None:
        """Let jobs refer to these uploads by their ids."""
        for one in self.uploads:
            facts = UploadFacts(size=one.size, sha256=one.sha256, source_name=one.source_name, at=one.at, kind=one.kind)
            self._storage.put(_facts_key(one.key), record_body(facts), "application/json")
        self.kept = True

    def discard(self) -> None:
        """Remove the uploads and the marks of their use. No caller knows of them; the sweep removes what is left."""
        with suppress(StorageError):
            if self._writer is not None:
                self._writer.abort()
        with suppress(StorageError):
            for one in self.uploads:
                for key in (one.key, _facts_key(one.key), *self._storage.list(keys.upload_use(one.key, ""))):
                    self._storage.delete(key)
        self.uploads.clear()


@asynccontextmanager
async def incoming_of(dependencies: Dependencies, tenant: str) -> AsyncIterator[Incoming]:
    """Yield a request's uploads, and discard them afterwards unless they are kept."""
    incoming = Incoming(dependencies.storage, tenant, dependencies.limits.image_bytes)
    try:
        yield incoming
    finally:
        if not incoming.kept:
            with CancelScope(shield=True):
                await in_thread(incoming.discard)


def find_upload(storage: Storage, tenant: str, upload_id: str) -> Upload:
    """Return an upload by its id. Raises UploadUnknown, also for another tenant's."""
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
    """A file's name with its folders, as a label; it is never used as a path.

    Of an absolute path, only the file's own name is kept, because the rest shows the layout of somebody's disk.
    """
    parts = [part for part in (name or "").replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    if (name or "").startswith(("/", "\\")) or (parts and _DRIVE.fullmatch(parts[0])):
        parts = parts[-1:]
    plain = ["".join(letter for letter in part if letter.isprintable())[:_NAME_LENGTH] for part in parts]
    while len("/".join(plain)) > _PATH_LENGTH:  # drop leading folders first: the file's own name matters most
        plain.pop(0)
    return "/".join(filter(None, plain)) or None
