"""The passes over all watches, in a thread of the sweep process.

A look at a watch lists its prefix once. A listing of any length is made in slices, one in each pass, so the watches of
one tenant never keep those of others waiting for longer than their slices take.
"""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from maskrelay.contract.records import keys
from maskrelay.contract.records.watch_records import Watch
from maskrelay.errors import (
    ItemError,
    LedgerUnavailable,
    MaskrelayError,
    QuotaReached,
    SourceForbidden,
    SourceUnavailable,
    StorageError,
    TooManyItems,
)
from maskrelay.rules.arrivals import seen_now, time_left
from maskrelay.storage.protocol import has
from maskrelay.storage.stored_records import parsed
from worker.context import WorkerContext
from worker.context.job_records.plans import LruCache
from worker.sweep.folder_jobs import holds_results, submit_folder
from worker.sweep.watched_folders import WatchedFolder, watched_folders

log = logging.getLogger(__name__)
#: How long one process keeps others from looking at the same watch. It is renewed in every slice.
LEASE = timedelta(seconds=120)
#: The seconds that one slice of a look takes. A call to the store that has begun is completed.
SLICE_S = 2.0
#: The seconds between two passes while looks are not over.
BETWEEN_SLICES_S = 0.2
#: The time after which a folder is tried again that found the tenant's quota exhausted.
QUOTA_PAUSE = timedelta(seconds=30)
#: The number of watches whose records are in memory. A record never changes.
_MOST_RECORDS = 1000
#: The time after which a watch is tried again whose prefix could not be listed.
FAILURE_PAUSE = timedelta(seconds=60)


@dataclass(slots=True)
class Look:
    """A look at a watch that has begun, under the lease of `token`."""

    watch: Watch
    token: str
    #: The folders that the look has not come to yet.
    folders: Iterator[WatchedFolder | None]
    #: The time until a folder may be complete, if that is before the next regular look.
    soonest: timedelta


def watch_for_ever(context: WorkerContext, parent: int) -> None:
    """List the prefixes of due watches until the parent process is gone. What fails is tried again when it is due."""
    period, watch_pass = context.settings.sweep_period, WatchPass(context)
    while os.getppid() == parent:
        try:
            # One process in each period begins looks. The others go on with theirs.
            watch_pass.make(begin=context.ledger.sweep_state.turn("watching", period * 0.9))
        except (LedgerUnavailable, StorageError) as error:
            log.warning("watches postponed: %s", error.code)
        except Exception:
            log.exception("watches failed")
        time.sleep(BETWEEN_SLICES_S if watch_pass.looks else period.total_seconds())


class WatchPass:
    """The passes of one process. If it ends, the leases of its looks lapse, and another process begins again."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._records = LruCache[str, Watch](lambda key: parsed(context.storage.get(key), Watch, key), _MOST_RECORDS)
        #: When a list of changes that did not respond is asked again, by the id of the watch (monotonic seconds).
        self._asked_again: dict[str, float] = {}
        #: When the leases of all looks were renewed (monotonic seconds).
        self._leases_kept_at = time.monotonic()
        #: The looks that are not over, by the id of the watch.
        self.looks: dict[str, Look] = {}

    def make(self, *, begin: bool = True) -> int:
        """Begin a look at every watch that is due, and make one slice of each look.

        Return the number of submitted folders.
        """
        alone, submitted = self._context.bad_objects.alone, 0
        if begin:
            for key in self._context.storage.list(keys.WATCHES):
                self._keep_leases()
                if keys.watch_of(key) not in self.looks:
                    alone("watches", key, partial(self._begin, key))
        for watch in tuple(self.looks):
            self._keep_leases()
            submitted += alone("watches", watch, partial(self._go_on, watch)) or 0
        return submitted

    def _keep_leases(self) -> None:
        """Renew the leases of all looks if it is time. The slices of many looks together may take longer than a lease.

        A look whose lease has lapsed is dropped, because another process may have begun it again.
        """
        if time.monotonic() < self._leases_kept_at + LEASE.total_seconds() / 4:
            return
        self._leases_kept_at = time.monotonic()
        for watch, look in tuple(self.looks.items()):
            if not self._context.ledger.watches.renew(watch, look.token, LEASE):
                del self.looks[watch]

    def _begin(self, key: str) -> None:
        """Begin a look at a watch if it is due and no other process looks at it."""
        context, watch = self._context, self._records(key)
        self._notice_changes(watch)
        token = context.ledger.watches.begin(watch.id, LEASE)
        if token is None:
            return
        if not has(context.storage, key):  # it was removed since the keys were listed
            context.ledger.watches.forget(watch.id)
            return
        listed = context.source_readers.list(watch.tenant, watch.source, watch.credential, pinned=False)
        folders = watched_folders(listed, watch.pattern, context.settings.max_items)
        self.looks[watch.id] = Look(watch, token, folders, timedelta(seconds=watch.period_s))

    def _notice_changes(self, watch: Watch) -> None:
        """Make the watch due if its Orthanc has changed."""
        if watch.changes is None or self._asked_again.get(watch.id, 0) > time.monotonic():
            return
        watches = self._context.ledger.watches
        try:
            change = self._context.source_readers.last_change(watch.tenant, watch.changes, watch.credential)
        except (ItemError, SourceUnavailable) as error:
            self._asked_again[watch.id] = time.monotonic() + FAILURE_PAUSE.total_seconds()
            _report(self._context, watch, "the changes of a watch cannot be read", error)
        else:
            if change != watches.last_change(watch.id):
                watches.noticed_change(watch.id, change)

    def _go_on(self, watch_id: str) -> int:
        """Make one slice of a look. Return the number of submitted folders. After an error, its lease lapses."""
        look = self.looks.pop(watch_id, None)
        if look is None:
            return 0  # it failed a moment ago, and this is the repeated call
        submitted, is_over = _slice(self._context, look)
        if not is_over:
            self.looks[watch_id] = look
        return submitted


def _slice(context: WorkerContext, look: Look) -> tuple[int, bool]:
    """Go on with a look until its slice is over. Return the number of submitted folders, and whether it is over."""
    watches, watch = context.ledger.watches, look.watch
    submitted, ends = 0, time.monotonic() + SLICE_S
    if not watches.renew(watch.id, look.token, LEASE):
        return 0, True  # another process has taken the watch, because this one was too slow, or it was removed
    try:
        for folder in look.folders:
            if folder is not None:
                left = _see(context, watch, folder)
                submitted += left == timedelta(0)
                look.soonest = min(look.soonest, left or look.soonest)
            if time.monotonic() > ends:
                return submitted, False
    except (ItemError, SourceUnavailable) as error:  # the right to read was withdrawn, or the store does not respond
        _report(context, watch, "a watch cannot be listed", error)
        watches.end(watch.id, look.token, FAILURE_PAUSE, complete=False)
    else:
        watches.end(watch.id, look.token, look.soonest, complete=True)
    return submitted, True


def _see(context: WorkerContext, watch: Watch, folder: WatchedFolder) -> timedelta | None:
    """Compare a folder with its last sighting, and submit it if it is complete.

    Return zero if it was submitted now, None if it was submitted before or cannot be, otherwise the time until it may
    be complete.
    """
    if not folder.is_readable:
        _report(context, watch, "a folder of a watch cannot be listed", SourceForbidden())
        return None
    if not folder.objects or len(folder.objects) > context.quotas_of(watch.tenant).frames:  # it would wait forever
        _report(context, watch, "a watched folder has too many objects for a job", TooManyItems())
        return None
    watches, arrival = context.ledger.watches, folder.arrival()
    before, now = watches.seen(watch.id, arrival.folder)
    sighting = seen_now(arrival, before, now)
    left: timedelta | None = None
    if not sighting.submitted:
        left = time_left(arrival, sighting, now, timedelta(seconds=watch.settle_s), watch.expected)
    if left == timedelta(0) and holds_results(context, arrival.folder):
        left, sighting = None, replace(sighting, submitted=True)
    elif left == timedelta(0):
        try:
            submit_folder(context, watch, arrival, folder.objects)
        except QuotaReached:
            log.info("a folder waits for quota", extra={"watch": watch.id})
            left = QUOTA_PAUSE
    submitted = sighting.submitted or left == timedelta(0)
    watches.see(watch.id, arrival.folder, replace(sighting, submitted=submitted))
    return left


def _report(context: WorkerContext, watch: Watch, what: str, error: MaskrelayError) -> None:
    log.warning("%s: %s", what, error.code, extra={"watch": watch.id})
    context.recorder.happened("unwatched", error.code)
