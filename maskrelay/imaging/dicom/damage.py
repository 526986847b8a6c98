"""Translation of failures inside pydicom and the decoders into coded errors.

The warnings, log lines and messages of these libraries are suppressed, because they quote values of the file, which may
contain the name of the patient.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from maskrelay.errors import ItemError, TooManyPixels, Truncated

logging.getLogger("pydicom").propagate = False  # otherwise its lines would be in the log of this service


class _Hush:
    """A switch that suppresses warnings while any thread needs it.

    The filters for warnings are global, so they are restored only when no thread needs the switch any more. Nothing
    else in a worker may replace the filters, because two programs that restore them at different times undo each other.
    """

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
def quiet() -> Iterator[None]:
    """Suppress the warnings of pydicom and the decoders. This affects all threads, and any thread may use it."""
    _hush.enter()
    try:
        yield
    finally:
        _hush.leave()


@contextmanager
def named_damage() -> Iterator[None]:
    """Translate every exception inside the block into an ItemError, and suppress the warnings of the libraries.

    Raises TooManyPixels if there is not enough memory, and Truncated for damage that has no more specific error.
    """
    with quiet():
        try:
            yield
        except ItemError:
            raise
        except MemoryError:
            raise TooManyPixels("The object needs more memory than is allowed.") from None
        except Exception:  # noqa: BLE001  for malicious bytes, a library may raise any exception
            raise Truncated from None
