"""The protocol of object stores, and the syntax of their keys.

A key consists of segments that are separated by `/`. A segment contains ASCII letters, digits, `.`, `_` and `-`. Such
keys are valid both as file paths and in buckets, and no key can lead out of the store's root folder. Every method may
be called from any thread.
"""

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager
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

    #: The size in bytes.
    size: int
    #: The time at which the object was written, in UTC.
    modified: datetime


class Writer(Protocol):
    """A writer of one object in chunks. The object is invisible until `commit`.

    A writer is a context manager. Leaving the `with` block without a commit aborts.
    """

    def write(self, chunk: bytes) -> None:
        """Append a chunk to the object."""

    def commit(self) -> None:
        """Make the complete object visible. An existing object with the same key is replaced."""

    def abort(self) -> None:
        """Discard everything that was written. Has no effect after a commit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Storage(Protocol):
    """An object store. Readers never see a partial object.

    Every method raises StorageUnavailable if the store does not respond or refuses the request, and KeyInvalid for an
    invalid key. If a key such as `a/b` is in use, `a` must not be used as a key, because a file system cannot hold both
    objects.
    """

    def create(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        """Write a new object. Raises ObjectExists if there is an object with this key.

        After StorageUnavailable, the object may have been written nevertheless. If a retry then raises ObjectExists,
        compare the stored object with yours.
        """

    def put(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        """Write an object. An existing object with the same key is replaced."""

    def put_all(self, bodies: Mapping[str, bytes], content_type: str = BINARY) -> None:
        """Write several small objects, like `put`, in less time.

        If the call fails, some of them may have been written. If the power fails during the call, some may be
        incomplete. So nobody may use any of them before the call has returned.
        """

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return at most `length` bytes of the object from offset `start` on, or all of them if `length` is None.

        Raises ObjectMissing if there is no such object.
        """

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Generator[bytes, None, None]:
        """Yield the same bytes as `get`, in chunks of at most 1 MiB.

        If there is no such object, the call itself raises ObjectMissing, before the first chunk is requested. Close the
        generator if you stop before its end.
        """

    def head(self, key: str) -> ObjectFacts:
        """Return the size and the time of an object. Raises ObjectMissing if there is no such object."""

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield, in byte order, the keys that begin with `prefix` and are greater than `after`.

        The keys are read page by page, so a listing of any length takes little memory. Azure cannot begin behind a key,
        so there the pages up to `after` are read too.
        """

    def delete(self, key: str) -> None:
        """Delete an object. A missing object is not an error."""

    def presign(self, key: str, lifetime: timedelta) -> str | None:
        """Return a URL with which anyone can read the object during `lifetime`, or None if the store has no such URLs.

        No request is sent to the store, so the URL may be that of an object that does not exist.
        """

    def remove_leftovers(self, after: str, most: int, now: datetime) -> tuple[str, int]:
        """Remove temporary files of killed processes from the next `most` folders after the folder `after`.

        Return the folder after which the next call continues, and the number of removed files. Pass "" as `after` to
        begin. The returned folder is "" when no folders remain. S3 and Azure need no such call, because the servers
        discard incomplete uploads themselves.
        """

    def flushed_later(self) -> AbstractContextManager[None]:
        """Return a context manager in whose block `put`, `delete` and `Writer.commit` need not wait for the disk.

        This applies to the calls of the thread that entered the block. What they have written is visible at once. It
        becomes durable when `flush` is called, or when this process next writes an object outside of such a block. That
        object becomes visible only afterwards. Until then, a power failure may leave an object from the block
        incomplete. So write only two kinds of objects in the block: objects without content, and objects that nobody
        uses before a later object names them.

        An object that `create` writes in the block is complete as soon as it is visible, but it may be lost too.
        """

    def flush(self) -> None:
        """Make everything durable that this process has written. Raises StorageUnavailable if something was lost."""

    def writer(self, key: str, content_type: str = BINARY) -> Writer:
        """Return a writer for a large object. The memory that it uses does not depend on the size of the object."""

    def writer_at(self, path: str, content_type: str = BINARY) -> Writer:
        """Return a writer like `writer` for an object among those of another program.

        Its path consists of segments like a key, but they may contain any characters. None of them may be empty, `.` or
        `..`, which the caller must have checked. Raises KeyInvalid if the store cannot have an object at this path, and
        StorageUnavailable if its folder does not exist in a file store.
        """


def has(storage: Storage, key: str) -> bool:
    """Return whether an object with this key exists. Raises StorageUnavailable."""
    try:
        storage.head(key)
    except ObjectMissing:
        return False
    return True


def check_key(key: str) -> None:
    """Raise KeyInvalid if `key` has more than 512 characters, or contains a segment that is not well-formed."""
    if len(key) > _KEY_LENGTH or not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        raise KeyInvalid


def check_prefix(prefix: str) -> None:
    """Raise KeyInvalid if no valid key can begin with `prefix`."""
    *folders, _begun = prefix.split("/")
    if not _PREFIX.fullmatch(prefix) or not all(_SEGMENT.fullmatch(segment) for segment in folders):
        raise KeyInvalid


def check_range(start: int, length: int | None) -> None:
    """Raise ValueError for an impossible range, which would be a bug in the calling code."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError("a range begins at 0 or later and has no negative length")


def unavailable(reason: str, *, refused: bool = False) -> StorageUnavailable:
    """Return the error for a store that failed.

    `reason` is an error code of the operating system or the server. It contains no path, URL or key. `refused` means
    that the store was reached, and will refuse the request again until an operator changes something.
    """
    return StorageUnavailable(f"The object store cannot be used ({reason}).", reason=reason, refused=refused)
