"""Metrics of one process: stage durations and event counts, added to the ledger every few seconds."""

import contextlib
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Literal

from maskrelay import threads
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.sight import BUCKETS

Stage = Literal[
    "fetch",  # a source from storage, and the wait for a thread that decodes
    "decode",  # its pixels
    "prepare",  # canvas and PNG
    "admission",  # the wait until a score may begin
    "score",  # one request, there and back
    "restore",  # masks in the source's geometry, measures, files
    "store",  # a frame's files, or a part of outcomes with its pack
    "settle",  # from an outcome to where it counts: the wait for others to share its part, the part, the ledger
    "plan",  # one job's turn
    "assemble",  # one item
    "finish",  # one job
    "deliver",  # one attempt at a callback
]
PERIOD = timedelta(seconds=5)


class Noticed:
    """Adds up and tells every `period`, from a thread of its own that the first thing noticed starts: after a fork.

    May be used from any thread. What cannot be told now is told later; what a killed process had not told is lost.
    """

    def __init__(self, tell: Callable[[Counter[str], Counter[str]], None], period: timedelta = PERIOD) -> None:
        self._tell = tell
        self._period = period.total_seconds()
        self._lock = threading.Lock()
        self._counts = Counter[str]()
        self._stages = Counter[str]()
        self._teller: threading.Thread | None = None

    def took(self, stage: Stage, seconds: float) -> None:
        """Note that a stage took so long."""
        with self._lock:
            self._stages[f"{stage} {bisect_left(BUCKETS, seconds)}"] += 1
            self._stages[f"{stage} us"] += round(seconds * 1e6)
            self._begin()

    def happened(self, what: str, label: str) -> None:
        """Count something under one of a few labels, never one that a caller chose."""
        with self._lock:
            self._counts[f"{what} {label}"] += 1
            self._begin()

    @contextlib.contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Note how long the block takes, however it ends."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.took(stage, time.perf_counter() - began)

    def tell(self) -> None:
        """Tell now; without a ledger it is kept."""
        with self._lock:
            counts, stages = self._counts, self._stages
            self._counts, self._stages = Counter[str](), Counter[str]()
        if not counts and not stages:
            return
        try:
            self._tell(counts, stages)
        except LedgerUnavailable:
            with self._lock:
                self._counts.update(counts)
                self._stages.update(stages)

    def _begin(self) -> None:
        if self._teller is None:
            self._teller = threads.start(self._for_ever, "telling")

    def _for_ever(self) -> None:
        while True:
            time.sleep(self._period)
            self.tell()
