"""Open folders below a root one descriptor at a time, so that no symbolic link leads out of it."""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from maskrelay.errors import KeyInvalid, ObjectMissing, StorageError
from maskrelay.storage.protocol import unavailable

#: What an errno means for a key that is read, and for one that is written. Any other errno means that the store failed.
READING: Mapping[int, type[StorageError]] = {
    errno.ENOENT: ObjectMissing,
    errno.ENOTDIR: ObjectMissing,
    errno.ELOOP: ObjectMissing,
    errno.EISDIR: ObjectMissing,
}
WRITING: Mapping[int, type[StorageError]] = {
    errno.ENOTDIR: KeyInvalid,
    errno.ELOOP: KeyInvalid,
    errno.EISDIR: KeyInvalid,
}
#: The file system is reachable and refuses: permissions, space, or missing support for hard links.
_REFUSED = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EMLINK,
        errno.ENOSYS,
        errno.EOPNOTSUPP,
    }
)
# No permissions for others: sources and masks are patient data.
FILE_MODE = 0o660
_FOLDER_MODE = 0o770
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def storage_errors(meanings: Mapping[int, type[StorageError]]) -> Iterator[None]:
    """Translate an OSError into its meaning for the key, otherwise into StorageUnavailable; without the path."""
    try:
        yield
    except OSError as error:
        kind = meanings.get(error.errno or 0)
        if kind is not None:
            raise kind from None
        reason = errno.errorcode.get(error.errno or 0, "OSError")
        raise unavailable(reason, refused=error.errno in _REFUSED) from None


@contextmanager
def opened(root: Path, segments: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder at `segments` below `root`, which exists. `make` creates missing folders."""
    here = enter(root, segments, make=make)
    try:
        yield here
    finally:
        os.close(here)


def enter(root: Path, segments: Sequence[str], *, make: bool) -> int:
    """As `opened`, for a caller that closes the descriptor."""
    with storage_errors({}):
        here = os.open(root, _FOLDER)
    for segment in segments:
        try:
            inner = _enter_one(here, segment, make=make)
        finally:
            os.close(here)
        here = inner
    return here


def _enter_one(here: int, segment: str, *, make: bool) -> int:
    if make:
        with suppress(FileNotFoundError):
            return os.open(segment, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
        with suppress(FileExistsError):
            os.mkdir(segment, _FOLDER_MODE, dir_fd=here)
        os.fsync(here)  # also if another process created it, whose own fsync may be still to come
    return os.open(segment, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
