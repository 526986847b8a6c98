"""The configuration of the C library's memory allocator, which keeps the memory of one image for the next image."""

import ctypes

#: The parameters of `mallopt` that are set here, as glibc's malloc.h defines them.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
#: A buffer with more bytes than this is returned to the system as soon as it is freed. Image buffers have 1 to 6 MB.
#: glibc before 2.35 accepts no larger value.
_LARGEST_KEPT = 32 << 20
#: The largest number of unused bytes that are kept at the end of an arena.
_KEPT = 256 << 20
#: The largest number of arenas, from which threads allocate memory. Two are enough for the two threads that process
#: pixels. Each further arena would only keep more memory.
_ARENAS = 2


def keep_buffers() -> None:
    """Keep freed buffers in this process, because allocating them again for every image causes page faults.

    Call it before the threads start. It does nothing if the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, value in ((_MMAP_THRESHOLD, _LARGEST_KEPT), (_TRIM_THRESHOLD, _KEPT), (_ARENA_MAX, _ARENAS)):
        mallopt(parameter, value)
