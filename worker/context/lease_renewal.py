"""The renewal of leases in a separate thread, so they do not lapse during a long decode or in a busy event loop."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from maskrelay import threads
from maskrelay.errors import LedgerUnavailable

log = logging.getLogger(__name__)


class LeaseRenewal:
    """A context manager that calls `renew` once in every `period`, even after errors.

    If a renewal fails, for example because Redis is unavailable, it is tried again in the next period. A lease lasts
    longer than three periods, so it may still be valid when Redis is available again.
    """

    def __init__(self, period: timedelta, renew: Callable[[], object]) -> None:
        self._period = period.total_seconds()
        self._renew = renew
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threads.start(self._run, "renewal")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        assert self._thread is not None
        self._thread.join()

    def stop(self) -> None:
        """Begin no further renewal. Do not wait for a renewal that is in progress."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._period):
            try:
                self._renew()
            except LedgerUnavailable:
                continue
            except Exception:
                log.exception("leases cannot be renewed")
