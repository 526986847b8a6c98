"""Atomic writes of files.

A file is written under a temporary name that is not a valid key, then synced to disk, then renamed in one step.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from maskrelay.errors import ObjectExists
from maskrelay.storage.folders import FILE_MODE, WRITING, enter, storage_errors
from maskrelay.storage.leftovers import claim, temporary_name
from maskrelay.storage.protocol import check_key


class FileWriter:
    """A writer of one object of a FileStorage (see `protocol.Writer`)."""

    def __init__(self, root: Path, key: str) -> None:
        check_key(key)
        *folders, self._name = key.split("/")
        self._open = False
        with storage_errors(WRITING):
            while not self._begin(root, folders):
                continue
        self._open = True

    def _begin(self, root: Path, folders: Sequence[str]) -> bool:
        """Create the temporary file, and return whether it still exists when it is locked.

        It does not if another process removed it, or its empty folder, at that moment as a leftover.
        """
        self._temporary = temporary_name()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._folder = enter(root, folders, make=True)
        except FileNotFoundError:
            return False
        try:
            self._file = os.open(self._temporary, flags, FILE_MODE, dir_fd=self._folder)
        except FileNotFoundError:
            os.close(self._folder)
            return False
        except OSError:
            os.close(self._folder)
            raise
        if claim(self._file):
            return True
        os.close(self._file)
        os.close(self._folder)
        return False

    def write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        with storage_errors(WRITING):
            while view:
                view = view[os.write(self._file, view) :]

    def commit(self) -> None:
        with storage_errors(WRITING):
            os.fsync(self._file)
            os.replace(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            os.fsync(self._folder)
        self.abort()

    def commit_new(self) -> None:
        """Commit like `commit`, but raise ObjectExists if there is a file with this name."""
        with storage_errors(WRITING):
            os.fsync(self._file)
            try:
                self._link()
            finally:
                # needed even if another process wrote the object: a caller that gets ObjectExists may rely on it
                os.fsync(self._folder)
        self.abort()

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
            # If the response to our own call is lost, a network file system may repeat the call, which then fails. Two
            # links show that the first call succeeded (open(2), O_EXCL).
            if os.fstat(self._file).st_nlink < 2:
                raise ObjectExists from None

    def abort(self) -> None:
        """Remove the temporary file if it still exists, and close the descriptors."""
        if not self._open:
            return
        self._open = False
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
