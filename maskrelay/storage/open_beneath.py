"""Opening a path below a folder with one system call of Linux, openat2(2), which follows no symbolic link.

Without it, each folder of the path has to be opened and closed on its own, which takes about ten calls for an object.
"""

import ctypes
import errno
import functools
import os
import sys

#: The number of the system call on x86-64, ARM and RISC-V.
_OPENAT2 = 437
#: RESOLVE_NO_SYMLINKS and RESOLVE_BENEATH of linux/openat2.h.
_RESOLVE = 0x04 | 0x08


class _OpenHow(ctypes.Structure):
    """The structure `open_how` of linux/openat2.h."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(folder: int, path: str, flags: int) -> int:
    """Return a descriptor of `path` below the open folder `folder`. The caller must close it.

    Raises OSError, with ELOOP if a part of the path is a symbolic link, and with EXDEV if the path leads out of the
    folder. `flags` are those of `os.open`, without O_CREAT.
    """
    how = _OpenHow(flags, 0, _RESOLVE)
    while (opened := _syscall()(_OPENAT2, folder, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))) < 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
    return int(opened)


@functools.cache
def has_openat2() -> bool:
    """Return whether this process may use the call. Linux has it since version 5.6, but a container may forbid it."""
    if not sys.platform.startswith("linux"):
        return False
    # A structure of no bytes is refused with EINVAL, before anything else is looked at.
    return _syscall()(_OPENAT2, -1, b"", None, 0) < 0 and ctypes.get_errno() == errno.EINVAL


@functools.cache
def _syscall() -> "ctypes._FuncPointer":
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    call.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
    return call
