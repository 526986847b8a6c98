"""Turn failures inside pydicom and the codecs into coded errors, and suppress their messages.

Their warnings, log lines and messages quote values of the file, which may name the patient.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from maskrelay.errors import ItemError, TooManyPixels, Truncated

logging.getLogger("pydicom").propagate = False  # its lines would reach our own log


class _Hush:
    """No warnings while anybody is inside: the filters are the process's, so threads must not undo each other."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._before = warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._before.__exit__(None, None, None)


_hush = _Hush()


@contextmanager
def named_damage() -> Iterator[None]:
    """Turn whatever is raised inside into one `ItemError`, and keep warnings of the libraries away.

    Raises TooManyPixels where memory ran out, Truncated for damage that was not named inside.
    """
    _hush.enter()
    try:
        yield
    except ItemError:
        raise
    except MemoryError:
        raise TooManyPixels("The object needs more memory than it may have.") from None
    except Exception:  # noqa: BLE001  a reader fed with hostile bytes may raise anything
        raise Truncated from None
    finally:
        _hush.leave()
