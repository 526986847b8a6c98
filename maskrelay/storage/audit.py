"""The audit log of one process: entries are collected briefly, then written as one object that is chained to the
previous one.

Objects cannot be appended to, so the log grows by small files. Each is written once, by create-if-absent.
"""

import logging
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from maskrelay import threads
from maskrelay.contract.audit import Entry, hour_of
from maskrelay.errors import StorageError
from maskrelay.storage.audit_chain import Chain, File, Role
from maskrelay.storage.protocol import Storage

log = logging.getLogger(__name__)
#: An entry that nobody waits for is written within so many seconds: what a crash costs.
FLUSH_S = 5.0
#: An entry that somebody waits for is joined by those of the next millisecond, and by all that come during a write.
GATHER_S = 0.001
FILE_LINES = 2000
#: Entries that are kept while storage is away; further ones are lost, and the next seal counts them.
KEPT_LINES = 100_000


@dataclass(frozen=True, slots=True)
class _Line:
    hour: str
    text: bytes
    durable: "Future[bool] | None"


class AuditLog:
    """May be written to from any thread. Its own begins with the first entry: none may come before a fork."""

    def __init__(self, storage: Storage, role: Role) -> None:
        self._chain = Chain(storage, role)
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._hurry, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: deque[_Line] = deque()
        self._lost = 0
        self._file: File | None = None

    def write(self, entry: Entry) -> None:
        """Take an entry, to be written within `FLUSH_S`."""
        self._take(entry, None)

    def write_now(self, entry: Entry) -> "Future[bool]":
        """Have an entry written at once; whether it is durable. If it is not, it is tried again all the same."""
        durable: Future[bool] = Future()
        self._take(entry, durable)
        self._hurry.set()
        return durable

    def close(self) -> None:
        """Write what waits and close the hour: for the end of the process."""
        self._flush(ending=True)
        self._closing.set()
        self._hurry.set()

    def _take(self, entry: Entry, durable: "Future[bool] | None") -> None:
        text = entry.line()
        with self._lock:
            if len(self._waiting) >= KEPT_LINES:
                self._lost += 1
                if durable is not None:
                    durable.set_result(False)
                return
            self._waiting.append(_Line(self._hour(entry.at), text, durable))
            if self._thread is None:
                self._thread = threads.start(self._run, "audit")

    def _hour(self, at: datetime) -> str:
        """Hours of one process never go back, whatever its clock does."""
        last = self._waiting[-1].hour if self._waiting else self._chain.open or ""
        return max(last, hour_of(at))

    def _run(self) -> None:
        while not self._closing.is_set():
            if self._hurry.wait(FLUSH_S):
                self._hurry.clear()
                self._closing.wait(GATHER_S)
            try:
                self._flush(ending=False)
            except BaseException:  # nobody waits for this thread to begin again, and then it writes at once
                self._give_up_waiting()
                self._hurry.set()
                raise

    def _flush(self, *, ending: bool) -> None:
        """Write all there is. A file whose writing failed is tried again as it was: it may be there."""
        with self._flushing:
            try:
                while (file := self._file or self._next(ending=ending)) is not None:
                    self._file = file
                    written = self._chain.write(file)
                    self._file = None
                    if written:
                        self._forget(file)
            except StorageError as error:
                log.warning("the audit log waits: %s", error.code)
                self._give_up_waiting()

    def _next(self, *, ending: bool) -> File | None:
        """The next file: lines of one hour, or the mere end of an hour that is over."""
        with self._lock:
            now, started = self._hour(datetime.now(UTC)), self._chain.open
            first = self._waiting[0].hour if self._waiting else None
            if started is not None and (first is None or started < first):
                over = ending or started < now
                return self._chain.next(started, (), closed=True, lost=self._lost) if over else None
            if first is None:
                return None
            lines = [one.text for one in islice(self._waiting, FILE_LINES) if one.hour == first]
            more = len(self._waiting) > len(lines) and self._waiting[len(lines)].hour == first
            return self._chain.next(first, lines, closed=not more and (ending or first < now), lost=self._lost)

    def _forget(self, file: File) -> None:
        with self._lock:
            self._lost -= file.lost
            for _ in range(file.lines):
                line = self._waiting.popleft()
                if line.durable is not None and not line.durable.done():
                    line.durable.set_result(True)

    def _give_up_waiting(self) -> None:
        with self._lock:
            for line in self._waiting:
                if line.durable is not None and not line.durable.done():
                    line.durable.set_result(False)
