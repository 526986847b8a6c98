"""Loaded at the start of a process under faketime 0.9.10, which refuses every sleep of Python 3.11 and later.

It takes the moved clock's offset off the monotonic time until which such a sleep lasts. A wait for an event it leaves
alone.
"""

import threading
import time


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


time.sleep = _wait
