"""Functions that open folders and files below a root, so that no symbolic link can lead out of the root.

If the system cannot refuse symbolic links in a whole path (see `open_beneath`), folders are opened one level at a time.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from maskrelay.errors import KeyInvalid, ObjectMissing, StorageError
from maskrelay.storage.open_beneath import has_openat2, open_beneath
from maskrelay.storage.protocol import unavailable

#: The errors that an errno stands for when a key is read, and when a key is written. Any other errno means that the
#: store failed.
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
#: The errno values of a file system that is reachable but refuses the call. Reasons are missing permissions, a full
#: disk, or no support for hard links.
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
# Other users have no permissions, because sources and masks are patient data.
FILE_MODE = 0o660
_FOLDER_MODE = 0o770
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def storage_errors(meanings: Mapping[int, type[StorageError]]) -> Iterator[None]:
    """Translate an OSError into the error for its errno in `meanings`, or into StorageUnavailable if there is none.

    The new error does not contain the path.
    """
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
    """Open the folder at `segments` below `root`, and close its descriptor at the end of the `with` block.

    The folder `root` must exist. If `make` is true, missing folders below `root` are created.
    """
    here = enter(root, segments, make=make)
    try:
        yield here
    finally:
        os.close(here)


def enter(root: Path, segments: Sequence[str], *, make: bool, flush: bool = True) -> int:
    """Return a descriptor of the folder at `segments` below `root`. The caller must close it.

    `make` has the same meaning as for `opened`. If `flush` is false, the caller must flush the created folders to the
    disk.
    """
    with storage_errors({}):
        top = os.open(root, _FOLDER)
    if not segments:
        return top
    try:
        if has_openat2():
            with suppress(FileNotFoundError) if make else nullcontext():
                return open_beneath(top, "/".join(segments), _FOLDER)
        return _walk(top, segments, make=make, flush=flush)
    finally:
        os.close(top)


def open_file(root: Path, segments: Sequence[str], name: str, flags: int) -> int:
    """Return a descriptor of the existing file `name` in the folder at `segments`. The caller must close it."""
    if has_openat2():
        with opened(root, ()) as top:
            return open_beneath(top, "/".join((*segments, name)), flags)
    with opened(root, segments) as folder:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)


def _walk(top: int, segments: Sequence[str], *, make: bool, flush: bool) -> int:
    """Enter one folder after another. Return a descriptor of the last one, and leave `top` open."""
    here = top
    for segment in segments:
        try:
            inner = _enter_one(here, segment, make=make, flush=flush)
        finally:
            if here != top:
                os.close(here)
        here = inner
    return here


def _enter_one(here: int, segment: str, *, make: bool, flush: bool) -> int:
    if make:
        with suppress(FileNotFoundError):
            return os.open(segment, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
        with suppress(FileExistsError):
            os.mkdir(segment, _FOLDER_MODE, dir_fd=here)
        if flush:
            os.fsync(here)  # even if another process created the folder, because that may not have called fsync yet
    return os.open(segment, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
