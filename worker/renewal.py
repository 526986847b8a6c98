"""Keeps leases alive from a thread of its own, so that neither a busy loop nor a long decode lets them lapse."""

import contextlib
import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from maskrelay.errors import LedgerUnavailable


class Renewal:
    """Calls `renew` every `period` while entered. While Redis is away it goes on trying: a lease may outlast that."""

    def __init__(self, period: timedelta, renew: Callable[[], object]) -> None:
        self._period = period.total_seconds()
        self._renew = renew
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="renewal", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._period):
            with contextlib.suppress(LedgerUnavailable):
                self._renew()
