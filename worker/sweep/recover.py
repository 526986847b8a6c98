"""A complete pass, which does at once everything that the sweep and the cleanup otherwise do in small steps."""

import os
import sys
from collections import Counter
from datetime import UTC, datetime
from functools import partial

from maskrelay.contract.records import keys
from maskrelay.settings import Settings
from maskrelay.storage.protocol import Storage
from maskrelay.telemetry import logs
from worker.cleanup.cleanup_pass import FOLDERS_A_PASS
from worker.cleanup.deleted_jobs import remove_jobs
from worker.cleanup.expiry import judge_jobs, retire_all
from worker.cleanup.relist import relist
from worker.cleanup.stray_objects import sweep_stray_objects
from worker.cleanup.unused_uploads import sweep_uploads
from worker.context import WorkerContext, build
from worker.context.halted_jobs import release_halted
from worker.context.job_records.plans import Plans
from worker.sweep.reconcile import Found, live_jobs, reconcile_alone
from worker.sweep.sweep_pass import compare, sweep


def recover(context: WorkerContext, now: datetime) -> Found:
    """Make one complete pass, and return counts of what was found and done.

    Any number of processes may do this at any time. `live jobs compared` is missing if another process is already
    comparing storage with the ledger. A job or upload that was skipped because an object cannot be used is listed as
    `left out: {name}: {why}`. Raises LedgerUnavailable or StorageUnavailable. The changes that were made before the
    error are kept.
    """
    storage = context.storage
    alone = context.bad_objects.alone
    released = [job for job in live_jobs(storage) if alone("comparison", job, partial(release_halted, context, job))]
    for job in released:
        reconcile_alone(context, job)
    found = compare(context)
    found.update(sweep(context, Plans(storage), compare_every=None))
    found["jobs without a result resumed"] = len(released)
    removing = (key.removeprefix(keys.REMOVING) for key in storage.list(keys.REMOVING))
    sweeping = (key.removeprefix(keys.SWEEPING) for key in storage.list(keys.SWEEPING))
    cleared: Found = Counter()
    cleared["job removals continued"] = remove_jobs(context, removing, now)
    cleared["objects of superseded attempts removed"] = sweep_stray_objects(context, sweeping, now)
    cleared["jobs expired"] = judge_jobs(context, storage.list(keys.JOBS), now)
    cleared["unused uploads removed"] = sweep_uploads(context, storage.list(keys.UPLOADS), now)
    cleared["temporary files of killed processes removed"] = _remove_temporary_files(storage, now)
    cleared["ledger records retired"] = retire_all(context)
    cleared["finished jobs returned to the list"] = relist(context, storage.list(keys.JOBS))
    found.update(cleared)
    found.update({f"left out: {named}": 1 for named in context.bad_objects.named()})
    return found


def recover_and_print() -> int:
    """Recover with the settings of the environment, print each count on a line, and return the exit code."""
    settings = Settings.from_environment(os.environ)
    logs.configure("info", settings.log_format)
    context = build(settings, "recover")
    found = recover(context, datetime.now(UTC))
    context.recorder.tell()
    if "live jobs compared" not in found:
        sys.stdout.write("another process is already comparing the storage with the ledger\n")
    for what, count in found.items():
        sys.stdout.write(f"{count:>8}  {what}\n")
    return 0


def _remove_temporary_files(storage: Storage, now: datetime) -> int:
    removed, place, more = 0, "", True
    while more:
        place, gone = storage.remove_leftovers(place, FOLDERS_A_PASS, now)
        removed += gone
        more = bool(place)
    return removed
