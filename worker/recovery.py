"""One complete pass over everything that the sweep otherwise does in small steps."""

from collections import Counter
from datetime import datetime
from functools import partial

from maskrelay.contract import keys
from maskrelay.storage.protocol import Storage
from worker.clearing import FOLDERS_A_PASS
from worker.halting import release_halted
from worker.listing import relist
from worker.losing import sweep_losing
from worker.parts import Parts
from worker.reconcile import Found, live_jobs, reconcile_alone
from worker.removal import remove_jobs
from worker.retention import judge_jobs, retire_all
from worker.submissions import Plans
from worker.sweep import compare, sweep
from worker.uploads import sweep_uploads


def recover(parts: Parts, now: datetime) -> Found:
    """Make one pass; return what was found and done. Safe anywhere, concurrently and at any time.

    `live jobs compared` is absent while another process compares storage with the ledger. Unusable objects are listed
    as `left out: {job}: {why}`. Raises LedgerUnavailable and StorageUnavailable; what was done until then is kept.
    """
    storage = parts.storage
    alone = parts.bad_objects.alone
    released = [job for job in live_jobs(storage) if alone("comparison", job, partial(release_halted, parts, job))]
    for job in released:
        reconcile_alone(parts, job)
    found = compare(parts)
    found.update(sweep(parts, Plans(storage), compare_every=None))
    found["jobs without a result resumed"] = len(released)
    removing = (key.removeprefix(keys.REMOVING) for key in storage.list(keys.REMOVING))
    sweeping = (key.removeprefix(keys.SWEEPING) for key in storage.list(keys.SWEEPING))
    cleared: Found = Counter()
    cleared["job removals continued"] = remove_jobs(parts, removing, now)
    cleared["objects of superseded attempts removed"] = sweep_losing(parts, sweeping, now)
    cleared["jobs expired"] = judge_jobs(parts, storage.list(keys.JOBS), now)
    cleared["unused uploads removed"] = sweep_uploads(parts, storage.list(keys.UPLOADS), now)
    cleared["temporary files of killed writers removed"] = _tidy(storage, now)
    cleared["ledger records retired"] = retire_all(parts)
    cleared["finished jobs returned to the list"] = relist(parts, storage.list(keys.JOBS))
    found.update(cleared)
    found.update({f"left out: {named}": 1 for named in parts.bad_objects.named()})
    return found


def _tidy(storage: Storage, now: datetime) -> int:
    removed, place, more = 0, "", True
    while more:
        place, gone = storage.tidy(place, FOLDERS_A_PASS, now)
        removed += gone
        more = bool(place)
    return removed
