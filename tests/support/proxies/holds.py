"""Hold a request at a proxy, so that its sender can be killed at this point."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Hold(Generic[T]):
    """A trap for the next request that `matches`, before it is passed on, or with `after`, before its
    answer is passed on.

    What was caught is dropped when it is released. `wants` selects which answers are caught, by their content.
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
        """Wait here until release. Return False for every request but the first."""
        with self._lock:
            if self._caught.is_set():
                return False
            self._caught.set()
        self._let_go.wait()
        return True

    def await_caught(self, seconds: float = 60) -> None:
        assert self._caught.wait(seconds), "nobody came to where it was to be held"

    def let_go(self) -> None:
        """Release what was caught, and catch nothing more."""
        self._caught.set()
        self._let_go.set()
