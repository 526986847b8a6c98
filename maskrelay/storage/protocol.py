"""The protocol of object stores, and the syntax of their keys.

A key consists of segments of ASCII letters, digits, `.`, `_` and `-`, separated by `/`: the same objects fit into a
folder and into a bucket, and no key can leave the store's root. Every method may be called from any thread.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

from maskrelay.errors import KeyInvalid, ObjectMissing, StorageUnavailable

BINARY = "application/octet-stream"
CHUNK_BYTES = 1 << 20
_KEY_LENGTH = 512
_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,255}")
_PREFIX = re.compile(r"[A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class ObjectFacts:
    """The metadata of an object."""

    #: In bytes.
    size: int
    #: When the object was written (aware UTC).
    modified: datetime


class Writer(Protocol):
    """Writes one object in pieces, which is invisible until `commit`.

    As a context manager it aborts without a commit.
    """

    def write(self, chunk: bytes) -> None: ...

    def commit(self) -> None:
        """Make the complete object visible; an object with the same key is replaced."""

    def abort(self) -> None:
        """Discard what was written. Has no effect after a commit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Storage(Protocol):
    """An object store. Readers never see a partial object.

    Every method raises StorageUnavailable when the store cannot respond, and KeyInvalid for an invalid key. A key that
    is also the folder of other keys (`a` and `a/b`) is possible in a bucket but not in a folder, so it must not be
    used.
    """

    def create(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        """Write an object that does not exist yet; raises ObjectExists if it does.

        After StorageUnavailable the object may exist nevertheless: compare it when you retry.
        """

    def put(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        """Write an object; an object with the same key is replaced."""

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return the bytes from `start` on, at most `length` of them; raises ObjectMissing."""

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Generator[bytes, None, None]:
        """As `get`, in chunks of at most 1 MiB. ObjectMissing is raised by the call itself, before any chunk.

        Close the generator if you stop early.
        """

    def head(self, key: str) -> ObjectFacts:
        """Return size and time of an object; raises ObjectMissing."""

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix` and sort after `after`, in byte order, page by page."""

    def delete(self, key: str) -> None:
        """Delete an object. A missing object is not an error."""

    def presign(self, key: str, lifetime: timedelta) -> str | None:
        """Return a URL with which anyone can read the object for `lifetime`; None if the store has no such URLs.

        No request is sent, so the object may not exist.
        """

    def tidy(self, after: str, most: int, now: datetime) -> tuple[str, int]:
        """Remove what killed writers left in the next `most` folders after `after`.

        Returns where to continue ("" at the end, as at the beginning), and how much was removed. For S3, the bucket's
        lifecycle does this.
        """

    def writer(self, key: str, content_type: str = BINARY) -> Writer:
        """Write a large object in pieces, with constant memory."""


def has(storage: Storage, key: str) -> bool:
    """Return whether an object with this key exists; raises StorageUnavailable."""
    try:
        storage.head(key)
    except ObjectMissing:
        return False
    return True


def check_key(key: str) -> None:
    """Raise KeyInvalid unless `key` has at most 512 characters and well-formed segments."""
    if len(key) > _KEY_LENGTH or not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        raise KeyInvalid


def check_prefix(prefix: str) -> None:
    """Raise KeyInvalid unless a key can begin with `prefix`."""
    *folders, _begun = prefix.split("/")
    if not _PREFIX.fullmatch(prefix) or not all(_SEGMENT.fullmatch(segment) for segment in folders):
        raise KeyInvalid


def check_range(start: int, length: int | None) -> None:
    """Raise ValueError for an impossible range, which is a bug of the caller."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError("a range begins at 0 or later and has no negative length")


def unavailable(reason: str, *, refused: bool = False) -> StorageUnavailable:
    """Return the error for a store that failed. `reason` is a word of the system or the server: no path, URL or key.

    refused: the store was reached, and will refuse again until an operator changes something.
    """
    told = {"refused": True} if refused else {}
    return StorageUnavailable(f"The object store cannot be used ({reason}).", reason=reason, **told)
