"""Jobs and uploads that are skipped because one of their objects cannot be used.

A pass over many jobs or uploads continues after such an error. Each skipped job or upload is logged and counted, and
its name is kept.
"""

import logging
import threading
from collections.abc import Callable
from typing import Literal, TypeVar

from maskrelay.contract.records import keys
from maskrelay.errors import LedgerUnavailable, MaskrelayError, RecordUnreadable, StorageUnavailable, code_of
from maskrelay.ledger import Ledger
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.storage.factory import check_writable
from maskrelay.storage.protocol import Storage

log = logging.getLogger(__name__)
#: The kinds of passes over many jobs or uploads. The metric of skipped objects has the kind as a label.
Pass = Literal[
    "comparison",
    "removal",
    "losing",
    "expiry",
    "uploads",
    "listing",
    "records",
    "deadlines",
    "condemned",
    "delivery",
    "watches",
]
#: The names of at most this many skipped jobs and uploads are kept. The log and the metric cover all of them.
MOST = 1000
T = TypeVar("T")


class BadObjects:
    """A record of the jobs and uploads that the passes of one process have skipped. Any thread may use it."""

    def __init__(self, storage: Storage, ledger: Ledger, recorder: StageRecorder) -> None:
        self._storage = storage
        self._ledger = ledger
        self._recorder = recorder
        self._lock = threading.Lock()
        self._named: dict[str, str] = {}

    def alone(self, passing: Pass, name: str, call: Callable[[], T]) -> T | None:
        """Return the result of `call` for the job or upload `name`.

        If the call fails for another reason than an outage, the job or upload is skipped, and None is returned. If the
        call fails because the ledger or storage does not respond, both are checked. If one of them is still down,
        LedgerUnavailable or StorageUnavailable is raised. If both respond, the call is repeated once. If the
        second call fails too, the job or upload is skipped.
        """
        try:
            return call()
        except (LedgerUnavailable, StorageUnavailable):
            self._check_answering()
        except Exception as error:  # noqa: BLE001 - one object must not stop the others
            self.leave_out(passing, name, error)
            return None
        try:
            return call()
        except Exception as error:  # noqa: BLE001
            self.leave_out(passing, name, error)
            return None

    def leave_out(self, passing: Pass, name: str, error: Exception) -> None:
        """Count the job or upload `name` as skipped, and keep its name.

        It is logged if it was not logged before, or if the reason has changed.
        """
        self._recorder.happened("bad_object", passing)
        ours = error if isinstance(error, MaskrelayError) else None
        why = code_of(error)
        with self._lock:
            known = self._named.pop(name, None)
            self._named[name] = why
            if len(self._named) > MOST:
                del self._named[next(iter(self._named))]
        if known != why:
            where = error.key if isinstance(error, RecordUnreadable) else ""
            fields = {"job_id": name, "source": where or passing, "code": why}
            log.error("left out", extra=fields, exc_info=None if ours else error)

    def named(self) -> list[str]:
        """Return the jobs and uploads that were skipped, each with the reason."""
        with self._lock:
            return [f"{name}: {why}" for name, why in self._named.items()]

    def _check_answering(self) -> None:
        """Raise LedgerUnavailable or StorageUnavailable if the ledger or storage cannot be read and written."""
        self._ledger.scripts.check_writable()
        next(iter(self._storage.list(keys.TRIALS)), None)
        check_writable(self._storage)
