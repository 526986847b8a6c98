"""Reports of the slots of segment child processes to the flow control, so scoring can continue soon after Redis has
lost its data.

Before a child process sends its first score, it stores a marker. After Redis has lost its data, nothing is sent until
every child process with a marker has reported its slots, which takes a few seconds. If a child process does not report,
the flow control waits for as long as a slot lease. `worker.cleanup.cleanup_pass` removes the markers of child processes
that have not reported for a long time.
"""

import json
import logging
import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from maskrelay import threads
from maskrelay.contract.records import keys
from maskrelay.errors import LedgerUnavailable, ObjectMissing, StorageError
from maskrelay.ledger.flow_control import Flow
from maskrelay.ledger.senders import Senders
from maskrelay.storage.protocol import Storage

log = logging.getLogger(__name__)
#: The seconds between two reports.
PERIOD = 3.0


class Slots:
    """The slots of one child process. Any thread may use them.

    A slot is added before it is requested from Redis. It is removed only when no endpoint can be working on its score,
    or when its lease is over. A report therefore contains every slot that is in use.
    """

    def __init__(self, lease: timedelta) -> None:
        self.child = secrets.token_hex(8)
        self._lease = lease.total_seconds()
        self._lock = threading.Lock()
        self._asking: set[str] = set()
        self._held: dict[str, tuple[str, float]] = {}  # for each slot, its endpoint and the end of its lease

    def begin(self) -> str:
        """Return the name of a new slot, which the caller then requests."""
        slot = self.child + secrets.token_hex(8)
        with self._lock:
            self._asking.add(slot)
        return slot

    def grant(self, slot: str, endpoint: str) -> None:
        """Record that the slot was granted at this endpoint. Its lease starts now."""
        with self._lock:
            self._held[slot] = endpoint, time.monotonic() + self._lease
            self._asking.discard(slot)

    def end(self, slot: str, *, keep: bool = False) -> None:
        """End a slot because its score has ended or never began.

        `keep` means that the endpoint may still be working on the score. Such a slot is kept until its lease is over.
        """
        with self._lock:
            self._asking.discard(slot)
            if not keep:
                self._held.pop(slot, None)

    def of(self, endpoint: str) -> tuple[dict[str, timedelta], list[str]]:
        """Return the slots at an endpoint with the remaining time of their leases, and the slots
        that are being requested.
        """
        with self._lock:
            now = time.monotonic()
            self._held = {slot: (where, ends) for slot, (where, ends) in self._held.items() if ends > now}
            held = {slot: ends - now for slot, (where, ends) in self._held.items() if where == endpoint}
            return {slot: timedelta(seconds=left) for slot, left in held.items()}, list(self._asking)

    def is_empty(self) -> bool:
        """Return whether no slot is held or being requested."""
        with self._lock:
            return not self._asking and all(ends <= time.monotonic() for _, ends in self._held.values())


class SlotReporter:
    """A thread that reports the slots of one child process."""

    def __init__(self, storage: Storage, senders: Senders, flow: Flow, endpoints: Sequence[str], slots: Slots) -> None:
        self._storage = storage
        self._senders = senders
        self._flow = flow
        self._endpoints = list(endpoints)
        self._slots = slots
        self._marked_at = 0.0
        self._others: dict[str, frozenset[str] | None] = {}
        self._stopped = threading.Event()

    def mark(self) -> None:
        """Store the marker of the child process. It may not send any score before this. Raises StorageError."""
        body = json.dumps({"endpoints": self._endpoints}).encode()
        self._storage.put(keys.sender(self._slots.child), body, "application/json")
        self._marked_at = time.monotonic()

    def start(self) -> None:
        """Report every few seconds until `close` is called."""
        threads.start(self._run, "sender")

    def close(self) -> None:
        """Delete the marker, unless an endpoint may still be working for this child process."""
        self._stopped.set()
        if self._slots.is_empty():
            with suppress(StorageError):
                self._storage.delete(keys.sender(self._slots.child))
            with suppress(LedgerUnavailable):
                self._senders.forget([self._slots.child])

    def _run(self) -> None:
        while not self._stopped.wait(PERIOD):
            try:
                self.report()
            except (LedgerUnavailable, StorageError) as error:
                log.debug("the slots could not be reported: %s", error.code)

    def report(self) -> None:
        """Report once. If Redis has lost its data, let scores be sent again if every child process has now reported.

        Raises LedgerUnavailable.
        """
        if time.monotonic() - self._marked_at > self._flow.slot_lease.total_seconds():
            self.mark()  # the cleanup may have deleted the marker because no report had reached Redis for a long time
        for endpoint in self._endpoints:
            since = self._flow.now_ms()
            held, asking = self._slots.of(endpoint)
            frozen = self._flow.inventory(endpoint, self._slots.child, since, held, asking)
            if frozen and self._flow.thaw(endpoint, frozen, self._senders_to(endpoint)):
                log.info("Redis had lost its data; all workers have reported their slots, and scoring continues")
        self._senders.heard(self._slots.child)

    def _senders_to(self, endpoint: str) -> list[str]:
        """Return every child process that may have sent a score to the endpoint."""
        children = [key.removeprefix(keys.SENDERS) for key in self._storage.list(keys.SENDERS)]
        self._others = {child: self._others[child] for child in children if child in self._others}
        for child in children:
            if child not in self._others:
                with suppress(ObjectMissing):
                    self._others[child] = _endpoints_in(self._storage.get(keys.sender(child)))
        return [child for child, names in self._others.items() if names is None or endpoint in names]


def _endpoints_in(body: bytes) -> frozenset[str] | None:
    """Return the endpoints that a marker names.

    Return None if the marker is unreadable, so any endpoint is possible.
    """
    try:
        return frozenset(map(str, json.loads(body)["endpoints"]))
    except (ValueError, KeyError, TypeError):
        return None


def forget_silent(storage: Storage, senders: Senders, silent_for: timedelta) -> int:
    """Delete the markers of child processes that have not reported for this long. Return their number."""
    children = [key.removeprefix(keys.SENDERS) for key in storage.list(keys.SENDERS)]
    gone = senders.silent(children, silent_for)
    for child in gone:
        storage.delete(keys.sender(child))
    senders.forget(gone)
    return len(gone)
