"""Write a file atomically: under a temporary name that is no valid key, then made durable, then renamed in one step."""

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
    """Writes one object of a FileStorage; see `protocol.Writer`."""

    def __init__(self, root: Path, key: str) -> None:
        check_key(key)
        *folders, self._name = key.split("/")
        self._open = False
        with storage_errors(WRITING):
            while not self._begin(root, folders):
                continue
        self._open = True

    def _begin(self, root: Path, folders: Sequence[str]) -> bool:
        """Create the temporary file; return False if it or its folder was removed as a leftover in that moment."""
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
        """As `commit`, but raises ObjectExists if the name is taken."""
        with storage_errors(WRITING):
            os.fsync(self._file)
            try:
                self._link()
            finally:
                # Also for another writer's object: a caller that learns that it exists may rely on it.
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
            # A network file system may lose the response to our own link and repeat the call (open(2), O_EXCL).
            if os.fstat(self._file).st_nlink < 2:
                raise ObjectExists from None

    def abort(self) -> None:
        """Remove the temporary file, if it is still there, and close the descriptors."""
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
