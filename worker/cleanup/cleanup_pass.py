"""Cleanup of deleted and expired data, in a thread of the sweep process, so that leases never wait for storage."""

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
from worker.cleanup.stray_objects import sweep_losing
from worker.cleanup.unused_uploads import expire_uploads
from worker.cleanup.walks import delete_all, next_keys, written_before
from worker.context import WorkerContext
from worker.context.slot_inventory import forget_silent

log = logging.getLogger(__name__)
#: How often the next window of everything is checked for expired data.
ROUND = timedelta(minutes=1)
FOLDERS_A_PASS = 2000
#: The age at which a trial object counts as left by a process that was killed between its two calls.
OLD_TRIAL = timedelta(hours=1)
#: After this many slot leases without a report a child has ended, and so have all its scores.
SILENT_LEASES = 10


def clear_for_ever(parts: WorkerContext, parent: int) -> None:
    """Clean up in every period until the parent process is gone. What fails is repeated in a later pass."""
    period = parts.settings.sweep_period
    place: str | None = ""  # at the start the whole store is tidied, one window per pass
    while os.getppid() == parent:
        try:
            if place is not None:
                place = parts.storage.tidy(place, FOLDERS_A_PASS, datetime.now(UTC))[0] or None
            if parts.ledger.sweeps.turn("clearing", period * 0.9):
                clear(parts, datetime.now(UTC))
            if parts.ledger.sweeps.turn("expiring", ROUND):
                expire(parts, datetime.now(UTC))
        except (LedgerUnavailable, StorageError) as error:
            log.warning("cleanup postponed: %s", error.code)
        except SettingsError as error:
            log.critical("cleanup postponed: %s", error.detail)
        except Exception:
            log.exception("cleanup failed")
        time.sleep(period.total_seconds())


def clear(parts: WorkerContext, now: datetime) -> None:
    """Process one window of what is marked for removal. Safe anywhere, concurrently and at any time."""
    remove_gone(parts, now)
    marked = next_keys(parts, "sweeping", keys.SWEEPING, JOBS_A_PASS)
    losing = sweep_losing(parts, (key.removeprefix(keys.SWEEPING) for key in marked), now)
    listed = relist_next(parts)
    if losing or listed:
        log.info("removed: %d objects of superseded attempts; listed again: %d jobs", losing, listed)


def expire(parts: WorkerContext, now: datetime) -> None:
    """Process one window of each walk. Safe anywhere, concurrently and at any time."""
    check_database(parts.ledger.scripts, store_id(parts.storage))  # claims the database again if Redis was emptied
    jobs, uploads, records = expire_jobs(parts, now), expire_uploads(parts, now), retire_records(parts)
    expire_audit(parts, now)
    _tidy_next(parts, now)
    forget_silent(parts.storage, parts.ledger.senders, SILENT_LEASES * parts.settings.slot_lease)
    if jobs or uploads or records:
        log.info("expired: %d jobs, %d unused uploads, %d ledger records", jobs, uploads, records)


def _tidy_next(parts: WorkerContext, now: datetime) -> None:
    """Tidy the next folders of a file store, and remove old trial objects."""
    storage, sweeps = parts.storage, parts.ledger.sweeps
    place, removed = storage.tidy(sweeps.place("tidying"), FOLDERS_A_PASS, now)
    sweeps.move("tidying", place)
    if removed:
        log.info("removed: %d temporary files of killed writers", removed)
    delete_all(storage, (key for key in storage.list(keys.TRIALS) if written_before(storage, key, now - OLD_TRIAL)))
