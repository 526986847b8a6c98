"""A file of settings that is read again when it changes."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Self, TypeVar

from maskrelay.errors import SettingsError

_log = logging.getLogger(__name__)
T = TypeVar("T")


class RereadFile(Generic[T]):
    """The content of a file, which is read again when it changes. Any thread may use it.

    If the changed file cannot be read, the previous content stays in use, and a warning is logged. Otherwise, a
    half-written file of API keys would lock out all callers.
    """

    def __init__(self, path: Path, what: str, read: Callable[[Path], T], content: T, seen: tuple[int, ...]) -> None:
        self._path = path
        self._what = what
        self._read = read
        self._lock = threading.Lock()
        self._content = content
        self._seen = seen

    @classmethod
    def open(cls, path: Path, what: str, read: Callable[[Path], T]) -> Self:
        """Read the file for the first time. `what` names its content in warnings.

        `read` returns the content, and raises SettingsError if the file cannot be used. This is raised here too.
        """
        seen = _stamp(path)
        return cls(path, what, read, read(path), seen)

    def current(self) -> T:
        """Return the content of the file."""
        with self._lock:
            seen = _stamp(self._path)
            if seen != self._seen:
                try:
                    self._content = self._read(self._path)
                except SettingsError as error:
                    _log.warning("the previous %s stay in use: %s", self._what, error.detail)
                if seen:
                    self._seen = seen
            return self._content


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when the file changes. It is empty if the file cannot be found, which reading it reports."""
    try:
        facts = path.stat()
    except OSError:
        return ()
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
