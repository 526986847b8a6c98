"""Atomic writes of files.

A file is written under a temporary name, which is not a valid key. Then it is flushed to the disk, unless it may be
flushed later (see `flushing`), and gets its final name in one step.
"""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from maskrelay.errors import ObjectExists, StorageUnavailable
from maskrelay.storage.flushing import Flushing
from maskrelay.storage.folders import FILE_MODE, WRITING, enter, storage_errors
from maskrelay.storage.leftovers import claim, temporary_name
from maskrelay.storage.protocol import check_key, unavailable

#: The content of a large object is flushed in pieces of about this many bytes, so that other threads and processes that
#: flush the file system need not wait for all of it.
_UNFLUSHED_MOST = 32 << 20


class FileWriter:
    """A writer of one object of a FileStorage (see `protocol.Writer`)."""

    def __init__(self, flushing: Flushing, folder: int, file: int, temporary: str, name: str) -> None:
        self._flushing = flushing
        self._folder = folder
        self._file = file
        self._temporary = temporary
        self._name = name
        self._size = 0
        self._renamed = False
        self._open = True
        self._unflushed = 0

    @classmethod
    def open(cls, root: Path, key: str, flushing: Flushing) -> Self:
        """Create the temporary file for the object `key` below `root`. Raises KeyInvalid and StorageUnavailable."""
        check_key(key)
        *folders, name = key.split("/")
        later = flushing.is_deferred or flushing.is_pending
        if later:  # the new folders are flushed together with the other writes
            flushing.note()
        with storage_errors(WRITING):
            while (begun := _begin(root, folders, make=True, flush=not later)) is None:
                continue
        return cls(flushing, *begun, name)

    @classmethod
    def open_at(cls, root: Path, path: str, flushing: Flushing) -> Self:
        """Create the temporary file for a path that need not be a key (see `Storage.writer_at`).

        No folder is created. If one is missing, raises StorageUnavailable with the reason `folder_missing`.
        """
        *folders, name = path.split("/")
        try:
            with storage_errors(WRITING):
                while (begun := _begin(root, folders, make=False, flush=False)) is None:
                    continue
        except StorageUnavailable as error:
            if error.reason == errno.errorcode[errno.ENOENT]:
                raise unavailable("folder_missing") from None
            raise
        return cls(flushing, *begun, name)

    def write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        self._size += len(view)
        self._unflushed += len(view)
        with storage_errors(WRITING):
            while view:
                view = view[os.write(self._file, view) :]
            if self._unflushed > _UNFLUSHED_MOST:
                os.fdatasync(self._file)
                self._unflushed = 0

    def commit(self) -> None:
        deferred = self._flushing.is_deferred
        self._flush_bytes(deferred=deferred)
        with storage_errors(WRITING):
            os.replace(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            self._renamed = True
            if not deferred:
                os.fsync(self._folder)
        self.abort()

    def commit_new(self) -> None:
        """Commit like `commit`, but raise ObjectExists if there is a file with this name.

        Other processes may rely on the content of the file as soon as it has its name. So the content is always flushed
        first, even within a block of `flushed_later`.
        """
        self._flush_bytes(deferred=False)
        deferred = self._flushing.is_deferred
        if deferred:
            self._flushing.note()
        with storage_errors(WRITING):
            try:
                self._link()
            finally:
                # needed even if another process wrote the object: a caller that gets ObjectExists relies on the object
                # being durable
                if not deferred:
                    os.fsync(self._folder)
        self.abort()

    def _flush_bytes(self, *, deferred: bool) -> None:
        """Flush the content of the file to the disk, together with the other writes that are not flushed yet.

        If `deferred` is true, only record that the content must be flushed later. An empty file needs no flush of its
        own, because it reaches the disk when its folder is flushed.
        """
        if deferred:
            self._flushing.note()
        elif self._flushing.is_pending:
            self._flushing.note()
            self._flushing.flush()
        elif self._size:
            with storage_errors(WRITING):
                os.fsync(self._file)

    def _link(self) -> None:
        try:
            os.link(
                self._temporary,
                self._name,
                src_dir_fd=self._folder,
                dst_dir_fd=self._folder,
                follow_symlinks=False,
            )
        except FileExistsError:
            # If the response to a call is lost, a network file system may repeat the call, which then fails. If the
            # temporary file has two links, the first call succeeded (see O_EXCL in open(2)).
            if os.fstat(self._file).st_nlink < 2:
                raise ObjectExists from None

    def abort(self) -> None:
        """Remove the temporary file if it still exists, and close the descriptors."""
        if not self._open:
            return
        self._open = False
        if not self._renamed:
            with suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._folder)
        os.close(self._file)
        os.close(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


def _begin(root: Path, folders: Sequence[str], *, make: bool, flush: bool) -> tuple[int, int, str] | None:
    """Create the temporary file. Return the descriptor of its folder, its own descriptor and its name.

    Return None if another process took the new file or its empty folder for a leftover, and removed it. `make` and
    `flush` have the same meaning as for `enter`. If `make` is false and a folder is missing, raises FileNotFoundError.
    """
    temporary = temporary_name()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        folder = enter(root, folders, make=make, flush=flush)
        try:
            file = os.open(temporary, flags, FILE_MODE, dir_fd=folder)
        except OSError:
            os.close(folder)
            raise
    except FileNotFoundError:
        if make:
            return None
        raise
    if claim(file):
        return folder, file, temporary
    os.close(file)
    os.close(folder)
    return None
