"""Turn failures inside pydicom and the codecs into coded errors, and suppress their messages.

Their warnings, log lines and messages quote values of the file, which may name the patient.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from maskrelay.errors import ItemError, TooManyPixels, Truncated

logging.getLogger("pydicom").propagate = False  # otherwise its lines would reach this service's log


class _Hush:
    """Suppresses warnings while any thread is inside: filters are global, so threads must not undo each other's."""

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
    """Turn whatever is raised inside the block into an `ItemError`, and suppress warnings of the libraries.

    Raises TooManyPixels if memory runs out, Truncated for damage that has no more specific error.
    """
    _hush.enter()
    try:
        yield
    except ItemError:
        raise
    except MemoryError:
        raise TooManyPixels("The object needs more memory than it may have.") from None
    except Exception:  # noqa: BLE001  a reader of hostile bytes may raise anything
        raise Truncated from None
    finally:
        _hush.leave()
