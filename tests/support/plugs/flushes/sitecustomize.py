"""Every flush of this process to the disk becomes a line of the file that FLUSHES names.

A test adds this folder to the PYTHONPATH of the processes that it starts.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskrelay.storage import flushing

_lines = os.open(os.environ["FLUSHES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _counted(name: str, call: Callable[[int], Any]) -> Callable[[int], Any]:
    def counted(descriptor: int) -> Any:
        os.write(_lines, f"{name} {Path(f'/proc/self/fd/{descriptor}').readlink()}\n".encode())
        return call(descriptor)

    return counted


class _Libc:
    syncfs = staticmethod(_counted("syncfs", flushing._libc.syncfs))


os.fsync = _counted("fsync", os.fsync)
os.fdatasync = _counted("fdatasync", os.fdatasync)
flushing._libc = _Libc()
