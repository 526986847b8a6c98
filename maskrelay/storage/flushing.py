"""Flushing of a file store: writes that become durable together, with one call for the whole file system.

Each fsync makes the disk write its cache, which takes milliseconds, so many small objects are flushed faster together.
"""

import contextlib
import ctypes
import os
import platform
import re
import threading
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from maskrelay.storage.folders import WRITING, enter, storage_errors

#: The file systems on which syncfs(2) is used. They write changes of names to the disk in the order in which the
#: changes were made, so a later object is never durable without the folders of an earlier one. On other file systems,
#: such as network file systems and FUSE, syncfs may flush less than fsync does.
_TOGETHER = frozenset({"ext3", "ext4", "xfs", "tmpfs"})
_MOUNTS = Path("/proc/self/mountinfo")
_libc = ctypes.CDLL(None, use_errno=True)


class Flushing:
    """The writes of one process to the store at `root` that are not flushed yet. It may be used from any thread.

    If the file system cannot flush everything with one call, every write is flushed at once, and `is_deferred` is never
    true.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._thread = threading.local()
        #: The number of writes that were not flushed at once, and how many of them are flushed by now.
        self._written = self._flushed = 0
        #: A descriptor that was opened before the first write that is not flushed. So it reports the errors of all
        #: writes that are not flushed.
        self._folder: int | None = None

    @cached_property
    def is_possible(self) -> bool:
        """Whether writes to this store can be flushed together."""
        return can_flush_file_system() and _file_system_of(self._root) in _TOGETHER

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the writes of this thread within the block be flushed later."""
        before = self.is_deferred
        self._thread.deferred = self.is_possible
        try:
            yield
        finally:
            self._thread.deferred = before

    @property
    def is_deferred(self) -> bool:
        """Whether the writes of this thread are flushed later."""
        return bool(getattr(self._thread, "deferred", False))

    @property
    def is_pending(self) -> bool:
        """Whether there are writes that are not flushed yet."""
        with self._lock:
            return self._written > self._flushed

    def note(self) -> None:
        """Record that a write will not be flushed at once. Call this before the write. Raises StorageUnavailable."""
        with self._lock:
            if self._folder is None:
                self._folder = enter(self._root, (), make=False)
            self._written += 1

    def flush(self) -> None:
        """Flush every write that was noted before the call. Raises StorageUnavailable."""
        with self._lock:
            wanted = self._written
        with self._flushing:  # threads that had to wait here usually find that their writes are flushed
            with self._lock:
                begun, folder = self._written, self._folder
                if self._flushed >= wanted or folder is None:
                    return
            with storage_errors(WRITING):
                flush_file_system(folder)
            with self._lock:
                self._flushed = begun
                if self._written == begun:
                    os.close(folder)
                    self._folder = None


def can_flush_file_system() -> bool:
    """Return whether this system can flush a whole file system and reports all errors. Linux can, since version 5.8."""
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    return hasattr(_libc, "syncfs") and release is not None and (int(release[1]), int(release[2])) >= (5, 8)


def flush_file_system(folder: int) -> None:
    """Wait until everything that was written to the file system of this folder is on the disk. Raises OSError."""
    if _libc.syncfs(folder) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _file_system_of(root: Path) -> str | None:
    """Return the type of the file system of `root`, or None if it is unknown. See proc_pid_mountinfo(5)."""
    try:
        device = root.stat().st_dev
        named = f"{os.major(device)}:{os.minor(device)}"
        for line in _MOUNTS.read_text().splitlines():
            mount, _, kind = line.partition(" - ")
            if mount.split()[2] == named:
                return kind.split()[0]
    except (OSError, IndexError):
        return None
    return None
