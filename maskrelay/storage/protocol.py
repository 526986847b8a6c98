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
    """What is known of an object without reading it: `size` in bytes and when it was written (aware UTC)."""

    size: int
    modified: datetime


class Writer(Protocol):
    """One object being written in pieces, seen by nobody before `commit`; left without, it is aborted."""

    def write(self, chunk: bytes) -> None: ...

    def commit(self) -> None:
        """Make the object visible, whole; one of the same key is replaced."""

    def abort(self) -> None:
        """Drop what was written; nothing happens after a commit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Storage(Protocol):
    """An object store. Readers never see half an object.

    Every method raises StorageUnavailable when the store cannot answer and KeyInvalid for a key it does not
    take. A key that is also the folder of others (`a` beside `a/b`) fits a bucket but no folder: use none.
    """

    def create(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        """Write an object that is not there yet; raises ObjectExists when it is.

        After StorageUnavailable the object may still be there: whoever tries again compares.
        """

    def put(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        """Write an object; one of the same key is replaced."""

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes from `start` on, `length` of them or as many as there are; raises ObjectMissing."""

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Generator[bytes, None, None]:
        """As `get`, in chunks of at most 1 MiB; ObjectMissing comes from the call itself, before any chunk.

        Who stops early closes the generator.
        """

    def head(self, key: str) -> ObjectFacts:
        """Size and time of an object; raises ObjectMissing."""

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """The keys that begin with `prefix` and sort behind `after`, in order of their bytes, page by page."""

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    def presign(self, key: str, lifetime: timedelta) -> str | None:
        """An address at which whoever has it reads the object for so long; None where a store has none.

        Nothing is asked of the store: there may be no such object.
        """

    def tidy(self, after: str, most: int, now: datetime) -> tuple[str, int]:
        """Remove what killed writers left in the next `most` places behind `after`: where to go on, how much went.

        "" at the beginning and at the end. A bucket's lifecycle does it for S3.
        """

    def writer(self, key: str, content_type: str = BINARY) -> Writer:
        """Write a large object in pieces, with flat memory."""


def has(storage: Storage, key: str) -> bool:
    """Whether there is an object of this key; raises StorageUnavailable."""
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
    """Raise KeyInvalid unless some key can begin with `prefix`."""
    *folders, _begun = prefix.split("/")
    if not _PREFIX.fullmatch(prefix) or not all(_SEGMENT.fullmatch(segment) for segment in folders):
        raise KeyInvalid


def check_range(start: int, length: int | None) -> None:
    """Raise ValueError for a range that no object has: a mistake of the caller's code."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError("a range begins at 0 or later and has no negative length")


def unavailable(reason: str, *, refused: bool = False) -> StorageUnavailable:
    """The error for a store that failed; `reason` is a word of the system or the server: no path, URL or key.

    refused: it was reached, and will answer the same again until an operator changes something.
    """
    told = {"refused": True} if refused else {}
    return StorageUnavailable(f"The object store cannot be used ({reason}).", reason=reason, **told)
