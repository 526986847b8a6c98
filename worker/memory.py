"""Configure the C library's allocator to keep the memory of one image for the next."""

import ctypes

#: Numbers of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
#: Pictures' buffers have 1 to 6 MB. Above this a buffer is the system's again at once; glibc before 2.35 takes no more.
_LARGEST_KEPT = 32 << 20
#: So much may lie unused at an arena's end.
_KEPT = 256 << 20
#: Two threads work on pixels; an arena more would keep as much again.
_ARENAS = 2


def keep_buffers() -> None:
    """Keep freed buffers in this process instead of having them taken and faulted in again for every picture.

    To be called before the threads start. Does nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, value in ((_MMAP_THRESHOLD, _LARGEST_KEPT), (_TRIM_THRESHOLD, _KEPT), (_ARENA_MAX, _ARENAS)):
        mallopt(parameter, value)
