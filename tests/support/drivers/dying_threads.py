"""End a thread of this process in the only way that CPython has: by an exception that is raised in it."""

import ctypes
import threading


def end_thread(thread: threading.Thread, error: type[BaseException] = SystemExit) -> None:
    """Raise `error` in the thread as soon as it runs Python. If it waits in C, this is when the wait is over."""
    assert thread.ident is not None
    ended = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(error))
    assert ended == 1
