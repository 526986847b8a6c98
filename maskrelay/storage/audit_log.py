"""The audit log of one process.

Entries are collected for a short time, then written together as one file. It is not possible to append to an object in
storage, so the log is a series of small files. Each file is created once and never changed. Its last line is the seal,
which contains the hash of the previous file.
"""

import logging
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from maskrelay import threads
from maskrelay.contract.records.audit_entries import AuditEntry, hour_of
from maskrelay.errors import StorageError
from maskrelay.storage.audit_chain import Chain, File, Role
from maskrelay.storage.protocol import Storage

log = logging.getLogger(__name__)
#: An entry is written within this many seconds, if no caller waits for it. A crash can lose the entries of this time.
FLUSH_S = 5.0
#: If a caller waits for an entry, it is written after this delay. Entries that arrive during the delay are written with
#: it.
GATHER_S = 0.001
FILE_LINES = 2000
#: The number of entries that are kept in memory while storage is unavailable. Further entries are lost. The seal of the
#: next file contains their number.
KEPT_LINES = 100_000


@dataclass(frozen=True, slots=True)
class _Line:
    hour: str
    text: bytes
    durable: "Future[bool] | None"


class AuditLog:
    """The audit log of one process. It may be used from any thread.

    The first entry starts a background thread, so do not write an entry before the process forks.
    """

    def __init__(self, storage: Storage, role: Role) -> None:
        self._chain = Chain(storage, role)
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._hurry, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: deque[_Line] = deque()
        self._lost = 0
        self._file: File | None = None

    def write(self, entry: AuditEntry) -> None:
        """Add an entry. It is written within `FLUSH_S` seconds."""
        self._take(entry, None)

    def write_now(self, entry: AuditEntry) -> "Future[bool]":
        """Write an entry at once, and return a future that says whether the entry is durable.

        If the first attempt to write the entry fails, the result is False, although later attempts follow.
        """
        durable: Future[bool] = Future()
        self._take(entry, durable)
        self._hurry.set()
        return durable

    def close(self) -> None:
        """Write the waiting entries, and mark the last file as the last one of its hour.

        Call this at the end of the process.
        """
        self._flush(ending=True)
        self._closing.set()
        self._hurry.set()

    def _take(self, entry: AuditEntry, durable: "Future[bool] | None") -> None:
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
        """Return the hour of an entry. The hours of one process never decrease, even if its clock is set back."""
        last = self._waiting[-1].hour if self._waiting else self._chain.open or ""
        return max(last, hour_of(at))

    def _run(self) -> None:
        while not self._closing.is_set():
            if self._hurry.wait(FLUSH_S):
                self._hurry.clear()
                self._closing.wait(GATHER_S)
            try:
                self._flush(ending=False)
            # Callers that wait get False now, because their entries are written only after this thread was restarted.
            except BaseException:
                self._give_up_waiting()
                self._hurry.set()
                raise

    def _flush(self, *, ending: bool) -> None:
        """Write all waiting entries.

        If the write of a file failed, the same file is written again unchanged, because it may exist in storage.
        """
        with self._flushing:
            try:
                while (file := self._file or self._next(ending=ending)) is not None:
                    self._file = file
                    written = self._chain.write(file)
                    self._file = None
                    if written:
                        self._forget(file)
            except StorageError as error:
                log.warning("the audit log cannot be written now: %s", error.code)
                self._give_up_waiting()

    def _next(self, *, ending: bool) -> File | None:
        """Return the next file, or None if there is nothing to write.

        The file contains lines of one hour. The seal of the last file of an hour says that the hour is closed: there
        are no more files of this process for the hour. If all lines of an hour were written before the hour was over,
        the last file contains only this seal.
        """
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
