"""Write several files with two flushes of the file system, instead of several flushes for each file."""

import ctypes
import os
import platform
import re
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from maskrelay.storage.file_writer import FileWriter
from maskrelay.storage.folders import opened, storage_errors

_libc = ctypes.CDLL(None, use_errno=True)


def can_flush_file_system() -> bool:
    """Return whether this system can flush a whole file system and reports all errors. Linux can, since version 5.8."""
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    return hasattr(_libc, "syncfs") and release is not None and (int(release[1]), int(release[2])) >= (5, 8)


def flush_file_system(folder: int) -> None:
    """Wait until everything that was written to the file system of this folder is on the disk. Raises OSError."""
    if _libc.syncfs(folder) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def write_together(root: Path, bodies: Iterable[tuple[str, bytes]]) -> None:
    """Write these objects, given as key and body, below `root`. At the end, all of them are on the disk.

    Each object takes two descriptors until then. A name appears only when the bytes are on the disk, so no reader sees
    a partial object after a power failure either. Raises KeyInvalid and StorageUnavailable; then, some of the objects
    may have been written.
    """
    with ExitStack() as writers, opened(root, ()) as top, storage_errors({}):
        begun: list[FileWriter] = []
        has_bytes = False
        for key, body in bodies:
            begun.append(writers.enter_context(FileWriter.open(root, key, flush=False)))
            begun[-1].write(body)
            has_bytes = has_bytes or bool(body)
        if has_bytes:
            flush_file_system(top)
        for writer in begun:
            writer.rename()
        flush_file_system(top)
