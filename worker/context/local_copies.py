"""Folders for the temporary files of workers.

The folders are in TMPDIR, which several containers may share. Each folder belongs to one process, which holds a lock on
a file in it. The lock is released when the process ends, even if it is killed. `set_aside` reserves space only if the
total size of all folders stays within a limit.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from maskrelay.errors import StorageUnavailable

_PREFIX, _LOCK = "maskrelay-copies-", "lock"
#: The file whose lock is held while used space is calculated and space is reserved.
_SPACE_LOCK = "maskrelay-space.lock"
#: Space is reserved in steps of this many bytes.
STEP = 16 << 20


def new_folder() -> tuple[Path, int]:
    """Return a new folder, and the descriptor of a locked file in it. The lock shows that the owner is running.

    No other worker looks for leftovers meanwhile, so none finds the folder before its file is locked.
    """
    with _space_locked():
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return folder, descriptor


@contextmanager
def owned_folder() -> Iterator[Path]:
    """Yield a folder that is removed when the block ends. If this process is killed, another worker removes it."""
    folder, descriptor = new_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def remove_leftovers() -> None:
    """Remove the folders of processes that have been killed."""
    with _space_locked():
        _remove_unlocked()


def _remove_unlocked() -> None:
    """Remove the folders of processes that have been killed.

    These are the folders in which the file is not locked. The id of the owner could not show whether it is running,
    because containers that share a TMPDIR do not see each other's processes.
    """
    for folder in _folders():
        try:
            descriptor = os.open(folder / _LOCK, os.O_RDWR)
        except OSError:  # the folder belongs to another user, has just been removed, or has just been created
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def set_aside(path: Path, size: int, *, most_bytes: int) -> None:
    """Extend the file to at least `size` bytes.

    Raises StorageUnavailable if the disk is full, or if the files of all workers together would have more than
    `most_bytes`. Space becomes free when other workers remove their copies.
    """
    try:
        with _space_locked():
            length = path.stat().st_size
            if _taken() - length + size > most_bytes:
                _remove_unlocked()
                if _taken() - length + size > most_bytes:
                    raise StorageUnavailable(
                        "local copies already take all the space that is allowed", reason="copies_full"
                    )
            with path.open("r+b") as file:
                file.truncate(max(length, size))
    except OSError as error:
        raise StorageUnavailable("local copies cannot be made", reason=type(error).__name__) from None


@contextmanager
def _space_locked() -> Iterator[None]:
    descriptor = os.open(Path(tempfile.gettempdir()) / _SPACE_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _folders() -> Iterator[Path]:
    return Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")


def _taken() -> int:
    """Return the total size of the files of all workers in bytes, including reserved space."""
    total = 0
    for folder in _folders():
        for file in folder.glob("*"):
            with suppress(OSError):  # the file was removed in the meantime
                total += file.stat().st_size
    return total
