"""The metrics of one process: durations of stages and counts of events.

They are added to those in the ledger every few seconds.
"""

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
from maskrelay.ledger.metrics_snapshot import BUCKETS

Stage = Literal[
    "fetch",  # reading a source from storage, and the wait for a decoding thread
    "decode",  # decoding the pixels of a source
    "prepare",  # making the canvas and its PNG
    "admission",  # waiting for the flow control's admission
    "score",  # one scoring request
    "restore",  # making masks in the source's geometry, measures and files
    "store",  # storing a frame's files, or a part of outcomes with its pack
    "settle",  # waiting for other outcomes that share the part, writing the part, and updating the ledger
    "plan",  # one time slice of a job
    "assemble",  # one item
    "finish",  # one job
    "tabulate",  # one job
    "deliver",  # one attempt at a callback
]
PERIOD = timedelta(seconds=5)


class StageRecorder:
    """A recorder of counts and durations. A thread reports them once in each `period`.

    The thread starts with the first measurement, so that it is not started before the process forks. Any thread may use
    a recorder. Measurements that cannot be reported now are reported later. If the process is killed, measurements that
    it has not reported are lost.
    """

    def __init__(self, tell: Callable[[Counter[str], Counter[str]], None], period: timedelta = PERIOD) -> None:
        self._tell = tell
        self._period = period.total_seconds()
        self._lock = threading.Lock()
        self._counts = Counter[str]()
        self._stages = Counter[str]()
        self._teller: threading.Thread | None = None

    def took(self, stage: Stage, seconds: float) -> None:
        """Record the duration of a stage."""
        with self._lock:
            self._stages[f"{stage} {bisect_left(BUCKETS, seconds)}"] += 1
            self._stages[f"{stage} us"] += round(seconds * 1e6)
            self._begin()

    def happened(self, what: str, label: str) -> None:
        """Count an event under a label. The label must be one of a few fixed terms, and never text from a caller."""
        with self._lock:
            self._counts[f"{what} {label}"] += 1
            self._begin()

    @contextlib.contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Record the duration of the block, even if it raises an error."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.took(stage, time.perf_counter() - began)

    def tell(self) -> None:
        """Report now. If the ledger is unavailable, keep the measurements."""
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
