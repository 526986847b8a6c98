"""The health of the object store. While the store cannot be used, the reason is logged whenever the reason changes."""

import logging
import threading
import time

from maskrelay.contract.records import keys
from maskrelay.errors import StorageUnavailable
from maskrelay.storage.factory import check_writable
from maskrelay.storage.protocol import Storage

log = logging.getLogger(__name__)
#: At most one trial object is written in a period of this many seconds.
PERIOD_S = 5.0
#: A reason that has not occurred for this many seconds is logged again.
FORGOTTEN_S = 60.0


class StoreHealth:
    """A health check of the store, which also records the failures that other code reports.

    It may be used from any thread.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._tried = float("-inf")
        self._failure: StorageUnavailable | None = None
        self._reason: str | None = None
        self._heard = float("-inf")

    def check(self) -> None:
        """Raise StorageUnavailable if the store does not respond now, or did not accept the last trial object."""
        try:
            next(iter(self._storage.list(keys.TRIALS)), None)  # quick in a folder too, with few trial objects
            self._check_writable()
        except StorageUnavailable as error:
            self.failed(error)
            raise

    def failed(self, error: StorageUnavailable) -> None:
        """Log why the store could not be used, if the reason is a new one or has not occurred recently."""
        reason = error.reason or error.code
        with self._lock:
            now = time.monotonic()
            news = reason != self._reason or now - self._heard > FORGOTTEN_S
            self._reason, self._heard = reason, now
        if news:
            log.error("the object store cannot be used", extra={"reason": reason})

    def _check_writable(self) -> None:
        """Write a trial object, or use the result of the last one if it is less than `PERIOD_S` old."""
        with self._lock:
            if time.monotonic() - self._tried < PERIOD_S:
                failure = self._failure
            else:
                failure = self._failure = _failure_of(self._storage)
                self._tried = time.monotonic()
            recovered = failure is None and self._reason is not None
            if recovered:
                self._reason = None
        if failure is not None:
            raise failure
        if recovered:
            log.warning("the object store can be used again")


def _failure_of(storage: Storage) -> StorageUnavailable | None:
    try:
        check_writable(storage)
    except StorageUnavailable as error:
        return error
    return None
