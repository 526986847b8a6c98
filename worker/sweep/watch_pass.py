"""The passes over all watches, in a thread of the sweep process."""

import fnmatch
import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from posixpath import dirname

from maskrelay.contract.records import keys
from maskrelay.contract.records.watch_records import Watch
from maskrelay.errors import ItemError, LedgerUnavailable, QuotaReached, SourceUnavailable, StorageError
from maskrelay.rules.arrivals import Arrival, Sighting, seen_now, time_left
from maskrelay.sources.source_reader import SourceFacts
from maskrelay.storage.stored_records import parsed
from worker.context import WorkerContext
from worker.sweep.folder_jobs import submit_folder

log = logging.getLogger(__name__)
#: How long one process keeps others from listing the same watch. It is renewed for every folder.
LEASE = timedelta(seconds=60)
#: The time after which a folder is tried again that found the tenant's quota exhausted.
QUOTA_PAUSE = timedelta(seconds=30)


def watch_for_ever(context: WorkerContext, parent: int) -> None:
    """List the prefixes of due watches until the parent process is gone. What fails is tried again when it is due."""
    period = context.settings.sweep_period
    while os.getppid() == parent:
        try:
            if context.ledger.sweep_state.turn("watching", period * 0.9):  # one process in each period lists them
                watch_pass(context)
        except (LedgerUnavailable, StorageError) as error:
            log.warning("watches postponed: %s", error.code)
        except Exception:
            log.exception("watches failed")
        time.sleep(period.total_seconds())


def watch_pass(context: WorkerContext) -> int:
    """Look at every watch that is due. Return the number of folders that were submitted."""
    submitted = 0
    for key in context.storage.list(keys.WATCHES):
        alone = context.bad_objects.alone("watches", key, partial(_look, context, key))
        submitted += alone or 0
    return submitted


def _look(context: WorkerContext, key: str) -> int:
    """Look at one watch if it is due and no other process does. Return the number of submitted folders."""
    watches, watch_id = context.ledger.watches, keys.watch_of(key)
    token = watches.begin(watch_id, LEASE)
    if token is None:
        return 0
    watch = parsed(context.storage.get(key), Watch, key)
    submitted, soonest = 0, timedelta(seconds=watch.period_s)
    try:
        for arrival, facts in _folders(context, watch):
            left = _see(context, watch, arrival, facts)
            submitted += left == timedelta(0)
            soonest = min(soonest, left or soonest)
            if not watches.renew(watch_id, token, LEASE):
                return submitted  # another process has taken the watch, because this one was too slow
    except (ItemError, SourceUnavailable) as error:  # the right to read was withdrawn, or the store does not respond
        log.warning("a watch cannot be listed: %s", error.code, extra={"watch": watch_id})
        context.recorder.happened("unwatched", error.code)
    watches.end(watch_id, token, soonest)
    return submitted


def _see(context: WorkerContext, watch: Watch, arrival: Arrival, facts: list[SourceFacts]) -> timedelta | None:
    """Compare a folder with what was seen of it before, and submit it if it is complete.

    Return zero if it was submitted now, None if it was submitted before, otherwise the time until it may be complete.
    """
    watches, now = context.ledger.watches, datetime.now(UTC)
    sighting = seen_now(arrival, watches.seen(watch.id, arrival.folder), now)
    if sighting.submitted:
        return None
    left = time_left(arrival, sighting, now, timedelta(seconds=watch.settle_s), watch.expected)
    if left == timedelta(0):
        try:
            submit_folder(context, watch, arrival, facts)
        except QuotaReached:
            log.info("a folder waits for quota", extra={"watch": watch.id})
            left = QUOTA_PAUSE
    watches.see(watch.id, arrival.folder, Sighting(sighting.digest, sighting.since, submitted=left == timedelta(0)))
    return left


def _folders(context: WorkerContext, watch: Watch) -> Iterator[tuple[Arrival, list[SourceFacts]]]:
    """Yield the folders below the prefix, with the objects that match the pattern."""
    listed = context.source_readers.list(watch.tenant, watch.source, watch.credential)
    wanted = (
        facts
        for facts in listed
        if watch.pattern is None or fnmatch.fnmatchcase(facts.url.rsplit("/", 1)[1], watch.pattern)
    )
    # The objects of a folder are not always neighbours in the order of URLs: those of its subfolders come between.
    folders: dict[str, list[SourceFacts]] = {}
    for each in wanted:
        folders.setdefault(dirname(each.url), []).append(each)
    for folder, facts in folders.items():
        yield Arrival(folder, tuple((each.url, each.size, each.etag or each.version or "") for each in facts)), facts
