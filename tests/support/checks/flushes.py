"""Record what a process writes below a folder and what it flushes to the disk, while the real calls are made."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from maskrelay.storage import flushing


class Flushes:
    """The number of flushes, and what would be lost if the power failed now, without the audit log.

    Of a file, the bytes can be lost until the file is flushed. Of a folder, the names can be lost until the folder is
    flushed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._unflushed: set[Path] = set()
        self.count = 0

    def lost(self) -> set[Path]:
        """Return the files and folders that are not flushed."""
        with self._lock:
            return {path for path in self._unflushed if path.exists()}

    def wrote(self, path: Path) -> None:
        if self._is_watched(path):
            with self._lock:
                self._unflushed.add(path)

    def flushed(self, path: Path) -> None:
        if self._is_watched(path):
            with self._lock:
                self.count += 1
                self._unflushed.discard(path)

    def flushed_all(self) -> None:
        with self._lock:
            self.count += 1
            self._unflushed.clear()

    def renamed(self, before: Path, after: Path) -> None:
        if before in self._unflushed:
            self.wrote(after)
        self.wrote(after.parent)

    def _is_watched(self, path: Path) -> bool:
        return path.is_relative_to(self._root) and not path.is_relative_to(self._root / "audit")


def _path(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


@contextmanager
def recorded_flushes(root: Path) -> Iterator[Flushes]:
    """Record the writes and flushes of this process below `root` until the block ends."""
    seen = Flushes(root)
    with pytest.MonkeyPatch.context() as patch:

        def around(module: Any, name: str, record: Callable[..., None]) -> None:
            real = getattr(module, name)

            def call(*given: Any, **options: Any) -> Any:
                answer = real(*given, **options)
                record(*given, **options)
                return answer

            patch.setattr(module, name, call)

        def written(file: int, *_: Any) -> None:
            seen.wrote(_path(file))

        def moved(before: str, after: str, *, src_dir_fd: int = -1, dst_dir_fd: int = -1, **_: Any) -> None:
            if src_dir_fd >= 0:
                seen.renamed(_path(src_dir_fd) / before, _path(dst_dir_fd) / after)

        def made(_name: str, _mode: int = 0, *, dir_fd: int = -1) -> None:
            if dir_fd >= 0:
                seen.wrote(_path(dir_fd))

        around(os, "write", written)
        around(os, "replace", moved)
        around(os, "link", moved)
        around(os, "mkdir", made)
        around(os, "fsync", lambda descriptor: seen.flushed(_path(descriptor)))
        around(os, "fdatasync", lambda descriptor: seen.flushed(_path(descriptor)))
        around(flushing, "flush_file_system", lambda _folder: seen.flushed_all())
        yield seen
