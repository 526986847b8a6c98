"""Write several files with two flushes of the file system, instead of several flushes for each file."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from maskrelay.storage.file_writer import FileWriter
from maskrelay.storage.flushing import Flushing, can_flush_file_system, flush_file_system
from maskrelay.storage.folders import opened, storage_errors

__all__ = ["can_flush_file_system", "flush_file_system", "write_together"]


def write_together(root: Path, bodies: Iterable[tuple[str, bytes]], flushing: Flushing) -> None:
    """Write these objects, given as key and body, below `root`. At the end, all of them are on the disk.

    Each object takes two descriptors until then. A name appears only when the bytes are on the disk, so no reader sees
    a partial object after a power failure either. Raises KeyInvalid and StorageUnavailable; then, some of the objects
    may have been written.
    """
    with ExitStack() as writers, opened(root, ()) as top, storage_errors({}):
        begun: list[FileWriter] = []
        has_bytes = False
        for key, body in bodies:
            begun.append(writers.enter_context(FileWriter.open(root, key, flushing, flush=False)))
            begun[-1].write(body)
            has_bytes = has_bytes or bool(body)
        if has_bytes:
            flush_file_system(top)
        for writer in begun:
            writer.rename()
        flush_file_system(top)
