"""Renew leases in a separate thread, so that neither a busy loop nor a long decode lets them lapse."""

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
    """A context manager that calls `renew` in every `period`.

    No error stops it. If Redis is unavailable or anything else fails, it tries again in the next period, because the
    leases may last until the problem is over. If they lapsed, the work of this process would be lost.
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
        """Begin no further renewal, without waiting for one in progress."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._period):
            try:
                self._renew()
            except LedgerUnavailable:
                continue
            except Exception:
                log.exception("leases cannot be renewed")
