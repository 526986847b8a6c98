"""`python -m bench.counted_api FILE …`: the API, which counts in FILE how often it flushes to the disk.

The other arguments are those of `python -m api`. The file contains the count as 8 bytes, little-endian.
"""

import mmap
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from api.__main__ import main
from maskrelay.storage import flushing


def count_in(path: Path) -> None:
    """Count the flushes of this process in the file, and make them as before."""
    with path.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), 8)
    lock = threading.Lock()

    def counted(flush: Callable[[int], None]) -> Callable[[int], None]:
        def call(descriptor: int) -> None:
            with lock:
                shared[:] = (int.from_bytes(shared[:], "little") + 1).to_bytes(8, "little")
            flush(descriptor)

        return call

    os.fsync = counted(os.fsync)  # type: ignore[assignment]
    os.fdatasync = counted(os.fdatasync)  # type: ignore[assignment]
    flushing.flush_file_system = counted(flushing.flush_file_system)  # type: ignore[assignment]


if __name__ == "__main__":
    count_in(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
