"""Object storage as files below one folder."""

import os
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from maskrelay.errors import KeyInvalid, ObjectMissing
from maskrelay.storage.file_writer import FileWriter
from maskrelay.storage.flushing import Flushing
from maskrelay.storage.folders import READING, open_file, opened, storage_errors
from maskrelay.storage.leftovers import remove_empty, remove_leftovers
from maskrelay.storage.protocol import (
    BINARY,
    CHUNK_BYTES,
    ObjectFacts,
    check_key,
    check_prefix,
    check_range,
)


class FileStorage:
    """A `Storage` on a local or shared file system that supports hard links. The folder `root` must exist.

    Content types are not stored. If a process is killed while it writes an object, its temporary file remains. The name
    of such a file begins with `~`, so it is never read or listed. `remove_leftovers` removes it. When the last object
    of a folder is deleted, the folder is removed too, unless it is on one of the top levels (see `remove_empty`).
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._flushing = Flushing(root)

    def flushed_later(self) -> AbstractContextManager[None]:
        return self._flushing.deferred()

    def flush(self) -> None:
        self._flushing.flush()

    def create(self, key: str, body: bytes, content_type: str = BINARY) -> None:  # noqa: ARG002
        with FileWriter.open(self._root, key, self._flushing) as incoming:
            incoming.write(body)
            incoming.commit_new()

    def put(self, key: str, body: bytes, content_type: str = BINARY) -> None:  # noqa: ARG002
        with FileWriter.open(self._root, key, self._flushing) as incoming:
            incoming.write(body)
            incoming.commit()

    def put_all(self, bodies: Mapping[str, bytes], content_type: str = BINARY) -> None:
        with self._flushing.deferred():
            for key, body in bodies.items():
                self.put(key, body, content_type)
        if not self._flushing.is_deferred:
            self._flushing.flush()

    def presign(self, key: str, lifetime: timedelta) -> None:
        """Return None, because a file has no URL."""

    def writer(self, key: str, content_type: str = BINARY) -> FileWriter:  # noqa: ARG002
        return FileWriter.open(self._root, key, self._flushing)

    def writer_at(self, path: str, content_type: str = BINARY) -> FileWriter:  # noqa: ARG002
        return FileWriter.open_at(self._root, path, self._flushing)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return b"".join(self.stream(key, start, length))

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Generator[bytes, None, None]:
        check_range(start, length)
        chunks = self._read(key, start, length)
        next(chunks)  # opens the file, so a missing object is detected in this call
        return chunks

    def _read(self, key: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        file = self._open(key)
        try:
            yield b""
            while length is None or length > 0:
                with storage_errors(READING):
                    chunk = os.pread(file, CHUNK_BYTES if length is None else min(length, CHUNK_BYTES), start)
                if not chunk:
                    return
                start += len(chunk)
                length = None if length is None else length - len(chunk)
                yield chunk
        finally:
            os.close(file)

    def _open(self, key: str) -> int:
        check_key(key)
        *folders, name = key.split("/")
        # Without O_NONBLOCK, opening a named pipe that someone put into the folder would block.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        with storage_errors(READING):
            file = open_file(self._root, folders, name, flags)
            if stat.S_ISREG(os.fstat(file).st_mode):
                return file
        os.close(file)
        raise ObjectMissing

    def head(self, key: str) -> ObjectFacts:
        file = self._open(key)
        try:
            facts = os.fstat(file)
        finally:
            os.close(file)
        return ObjectFacts(facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))

    def delete(self, key: str) -> None:
        check_key(key)
        *folders, name = key.split("/")
        deferred = self._flushing.is_deferred
        if deferred:
            self._flushing.note()
        with (
            suppress(ObjectMissing),
            storage_errors(READING),
            opened(self._root, folders) as folder,
        ):
            os.unlink(name, dir_fd=folder)
            if not deferred:
                os.fsync(folder)
        remove_empty(self._root, folders)

    def remove_leftovers(self, after: str, most: int, now: datetime) -> tuple[str, int]:
        return remove_leftovers(self._root, after, most, now)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        check_prefix(prefix)
        return self._keys_in(prefix[: prefix.rfind("/") + 1], prefix, after)

    def _keys_in(self, folder: str, prefix: str, after: str) -> Iterator[str]:
        """Yield the keys below `folder`, which is empty or ends in `/`.

        At any time, only the names in the current folder and in its parent folders are in memory.
        """
        for entry in self._entries(folder):
            key = folder + entry
            if entry.endswith("/"):
                if _may_hold(key, prefix, after):
                    yield from self._keys_in(key, prefix, after)
            elif key.startswith(prefix) and key > after:
                yield key

    def _entries(self, folder: str) -> tuple[str, ...]:
        """Return the names of the files and folders in `folder`, in the order of the keys. Folders end in `/`."""
        with (
            suppress(ObjectMissing),
            storage_errors(READING),
            opened(self._root, folder.split("/")[:-1]) as here,
            os.scandir(here) as entries,
        ):
            return tuple(sorted(name for entry in entries if (name := _name(entry))))
        return ()


def _name(entry: os.DirEntry[str]) -> str | None:
    """Return the name of an entry in listings, or None for anything but an object or a folder.

    Examples of other entries are temporary files, symbolic links, and files that other programs created.
    """
    with suppress(KeyInvalid):
        check_key(entry.name)
        if entry.is_dir(follow_symlinks=False):
            return f"{entry.name}/"
        if entry.is_file(follow_symlinks=False):
            return entry.name
    return None


def _may_hold(folder: str, prefix: str, after: str) -> bool:
    """Return whether a key below `folder` can begin with `prefix` and sort after `after`."""
    wanted = folder.startswith(prefix) or prefix.startswith(folder)
    return wanted and (folder > after or after.startswith(folder))
