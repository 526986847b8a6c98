"""The removal of temporary files of killed processes, and of empty folders, from a file store.

It is safe while other processes write to the store.
"""

import fcntl
import functools
import hashlib
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from maskrelay.contract.records.keys import UPLOADS
from maskrelay.contract.records.result_names import is_temporary
from maskrelay.errors import ObjectMissing, StorageError
from maskrelay.storage.folders import READING, opened, storage_errors

#: A temporary file that another machine created is kept for this time after the last write to it.
OLD = timedelta(hours=1)
#: The number of folder levels of the uploads that are kept even if they are empty: `uploads` itself and the folder of
#: each tenant. For other objects, only the first level is kept. These folders are kept because the next object would
#: need them again.
_TENANT_LEVELS = 2
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def temporary_name() -> str:
    """Return a name that is not a valid key (see `is_temporary`). It has the id of this machine and a random number."""
    return f"~{_machine()}{secrets.token_hex(8)}"


@functools.cache
def _machine() -> str:
    """Return 8 hex digits that identify this machine since its last boot.

    Processes that get the same digits can see each other's locks.
    """
    with suppress(OSError):
        return hashlib.sha256(f"{_BOOT_ID.read_text()}{socket.gethostname()}".encode()).hexdigest()[:8]
    return secrets.token_hex(4)


def claim(file: int) -> bool:
    """Lock a new temporary file while it is open. Return False if it was removed before it was locked.

    A file system that does not support locks causes no error. On such a file system, only the age of a file shows
    whether it may be removed.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return os.fstat(file).st_nlink > 0


def remove_empty(root: Path, folders: Sequence[str]) -> None:
    """Remove a folder if it is empty, and then each parent folder that is empty, except on the levels that are kept."""
    stay = _TENANT_LEVELS if folders[:1] == [UPLOADS.rstrip("/")] else 1
    for depth in range(len(folders), stay, -1):
        try:
            with opened(root, folders[: depth - 1]) as above:
                os.rmdir(folders[depth - 1], dir_fd=above)
        except (OSError, StorageError):  # the folder is not empty, or another process has changed it
            return


def remove_leftovers(root: Path, after: str, most: int, now: datetime) -> tuple[str, int]:
    """Remove leftovers from up to `most` folders, beginning after the folder `after`.

    Return the folder after which the next call continues ("" if all folders were checked), and the number of removed
    files.
    """
    removed, seen = 0, ""
    for folder in islice(_folders(root, "", after), most):
        removed += _remove_leftovers_in(root, folder, now)
        seen = folder
    more = next(_folders(root, "", seen), None) if seen else None
    return (seen if more is not None else ""), removed


def _folders(root: Path, folder: str, after: str) -> Iterator[str]:
    """Yield, in order, the folders below `folder` whose paths are greater than `after`. Each path ends in `/`."""
    for name in _names(root, folder, files=False):
        inner = f"{folder}{name}/"
        if inner > after:
            yield inner
        if inner > after or after.startswith(inner):
            yield from _folders(root, inner, after)


def _names(root: Path, folder: str, *, files: bool) -> list[str]:
    with (
        suppress(ObjectMissing),
        storage_errors(READING),
        opened(root, folder.split("/")[:-1]) as here,
        os.scandir(here) as entries,
    ):
        return sorted(one.name for one in entries if files or one.is_dir(follow_symlinks=False))
    return []


def _remove_leftovers_in(root: Path, folder: str, now: datetime) -> int:
    names = _names(root, folder, files=True)
    folders = folder.split("/")[:-1]
    removed = 0
    if left := [name for name in names if is_temporary(name)]:
        with suppress(ObjectMissing), storage_errors(READING), opened(root, folders) as here:
            removed = sum(_remove_left(here, name, now) for name in left)
    if removed == len(names):
        remove_empty(root, folders)
    return removed


def _remove_left(here: int, name: str, now: datetime) -> bool:
    """Remove a temporary file if no process can still be writing to it. Return whether it was removed."""
    try:
        file = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    except OSError:
        return False
    try:
        if not _is_left(file, name, now):
            return False
        with suppress(OSError):
            os.unlink(name, dir_fd=here)
            return True
        return False
    finally:
        os.close(file)


def _is_left(file: int, name: str, now: datetime) -> bool:
    """Return whether the process that wrote the file has ended.

    A file that this machine created is locked while its process lives. The locks of other machines may not be visible
    here, so a file of another machine is judged by its age. The same applies to every file if the file system does not
    support locks.
    """
    old = now.timestamp() - os.fstat(file).st_mtime > OLD.total_seconds()
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return old
    return old or name[1:9] == _machine()
