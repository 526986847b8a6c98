"""The removal of deleted and expired data.

It runs in its own thread of the sweep process, so the release of lapsed leases never waits for storage.
"""

import logging
import os
import time
from datetime import UTC, datetime, timedelta

from maskrelay.contract.records import keys
from maskrelay.errors import LedgerUnavailable, SettingsError, StorageError
from maskrelay.ledger.ownership import check_database
from maskrelay.storage.store_identity import store_id
from worker.cleanup.deleted_jobs import JOBS_A_PASS, remove_gone
from worker.cleanup.expiry import expire_audit, expire_jobs, retire_records
from worker.cleanup.relist import relist_next
from worker.cleanup.stray_objects import sweep_stray_objects
from worker.cleanup.unused_uploads import expire_uploads
from worker.cleanup.walks import delete_all, next_keys, written_before
from worker.context import WorkerContext
from worker.context.slot_inventory import forget_silent

log = logging.getLogger(__name__)
#: How often the next window of all objects is checked for expired data.
ROUND = timedelta(minutes=1)
FOLDERS_A_PASS = 2000
POINTERS_A_PASS = 1000
#: The age at which trial objects are removed. A process writes and deletes them to test the store, so old ones exist
#: only if their process was killed.
OLD_TRIAL = timedelta(hours=1)
#: A segment child process that has not reported for this many slot leases counts as ended, and so do all its scores.
SILENT_LEASES = 10


def clear_for_ever(context: WorkerContext, parent: int) -> None:
    """Clean up in every period until the parent process is gone. If something fails, a later pass tries it again."""
    period = context.settings.sweep_period
    # After the start, a first walk removes temporary files from the whole store. This is its position, None at the end.
    place: str | None = ""
    while os.getppid() == parent:
        try:
            if place is not None:
                place = context.storage.remove_leftovers(place, FOLDERS_A_PASS, datetime.now(UTC))[0] or None
            if context.ledger.sweep_state.turn("clearing", period * 0.9):
                clear(context, datetime.now(UTC))
            if context.ledger.sweep_state.turn("expiring", ROUND):
                expire(context, datetime.now(UTC))
        except (LedgerUnavailable, StorageError) as error:
            log.warning("cleanup postponed: %s", error.code)
        except SettingsError as error:
            log.critical("cleanup postponed: %s", error.detail)
        except Exception:
            log.exception("cleanup failed")
        time.sleep(period.total_seconds())


def clear(context: WorkerContext, now: datetime) -> None:
    """Process the next window of the `removing/` markers of deleted jobs, and of the `sweeping/` markers.

    A job has a `sweeping/` marker if it may have stray objects (see `stray_objects`). If Redis has lost the tenants'
    lists of finished jobs, continue their restoration. Any number of processes may do this at the same time.
    """
    remove_gone(context, now)
    marked = next_keys(context, "sweeping", keys.SWEEPING, JOBS_A_PASS)
    losing = sweep_stray_objects(context, (key.removeprefix(keys.SWEEPING) for key in marked), now)
    listed = relist_next(context)
    if losing or listed:
        log.info("removed: %d objects of superseded attempts; listed again: %d jobs", losing, listed)


def expire(context: WorkerContext, now: datetime) -> None:
    """Process the next window of each walk that looks for expired data. Any number of processes may do this at once."""
    # If Redis was emptied, this writes the id of the store into the Redis database again.
    check_database(context.ledger.scripts, store_id(context.storage))
    jobs, uploads, records = expire_jobs(context, now), expire_uploads(context, now), retire_records(context)
    expire_audit(context, now)
    _expire_pointers(context, now)
    _remove_next_leftovers(context, now)
    forget_silent(context.storage, context.ledger.slot_reports, SILENT_LEASES * context.settings.slot_lease)
    if jobs or uploads or records:
        log.info("expired: %d jobs, %d unused uploads, %d ledger records", jobs, uploads, records)


def _expire_pointers(context: WorkerContext, now: datetime) -> None:
    """Remove pointers of the next window that are older than any result to which they could lead."""
    found, storage = next_keys(context, "reuse", keys.REUSE, POINTERS_A_PASS), context.storage
    before = now - context.settings.result_lifetime
    delete_all(storage, (key for key in found if written_before(storage, key, before)))


def _remove_next_leftovers(context: WorkerContext, now: datetime) -> None:
    """Remove temporary files from the next folders of a file store, and old trial objects."""
    storage, sweeps = context.storage, context.ledger.sweep_state
    place, removed = storage.remove_leftovers(sweeps.place("tidying"), FOLDERS_A_PASS, now)
    sweeps.move("tidying", place)
    if removed:
        log.info("removed: %d temporary files of processes that were killed", removed)
    delete_all(storage, (key for key in storage.list(keys.TRIALS) if written_before(storage, key, now - OLD_TRIAL)))
