"""Jobs whose last change is in storage but not in the ledger, because Redis did not respond at that moment."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from maskrelay import threads
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.sweep_state import SweepState

#: The seconds between two attempts to add the jobs to the list in Redis.
_AGAIN_S = 1.0


class UnrecordedJobs:
    """Jobs that the sweep must compare with storage in its next pass. It may be used from any thread.

    A background thread adds the jobs to a list in Redis, which the sweep reads, as soon as Redis responds. If this
    process ends before that, the regular comparison of storage and ledger finds the changes.
    """

    def __init__(self, sweep_state: SweepState) -> None:
        self._sweep_state = sweep_state
        self._lock = threading.Lock()
        self._jobs: set[str] = set()

    @contextmanager
    def left_to_sweep(self, job: str) -> Iterator[None]:
        """If the block raises LedgerUnavailable, suppress it, and let the sweep record what storage says of the job."""
        try:
            yield
        except LedgerUnavailable:
            self._add(job)

    def _add(self, job: str) -> None:
        with self._lock:
            is_first = not self._jobs
            self._jobs.add(job)
        if is_first:
            threads.start(self._mark_all, "marking of unrecorded jobs")

    def _mark_all(self) -> None:
        while jobs := self._waiting():
            try:
                self._sweep_state.compare_soon(jobs)
            except LedgerUnavailable:
                time.sleep(_AGAIN_S)
                continue
            with self._lock:
                self._jobs -= jobs

    def _waiting(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._jobs)
