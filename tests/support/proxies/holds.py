"""Holds something at a border: whoever reaches it waits there, so that it can be killed just then."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Hold(Generic[T]):
    """Catches the next thing that `matches`, before it is passed on or, with `after`, before its answer is.

    What is caught is dropped when it is let go. wants: which answers are caught, by what they hold.
    """

    def __init__(self, matches: Callable[[T], bool], *, after: bool = False, wants: bytes = b"") -> None:
        self._matches = matches
        self.after = after
        self.wants = wants
        self._caught = threading.Event()
        self._let_go = threading.Event()
        self._lock = threading.Lock()

    def matches(self, thing: T) -> bool:
        return not self._caught.is_set() and self._matches(thing)

    def catch(self) -> bool:
        """Stay here until let go; False for all but the first that comes."""
        with self._lock:
            if self._caught.is_set():
                return False
            self._caught.set()
        self._let_go.wait()
        return True

    def await_caught(self, seconds: float = 60) -> None:
        assert self._caught.wait(seconds), "nobody came to where it was to be held"

    def let_go(self) -> None:
        """From now on nothing is caught any more."""
        self._caught.set()
        self._let_go.set()
