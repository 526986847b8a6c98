"""The sweep: finds lapsed leases, lost wake-ups, passed deadlines, and jobs that storage knows better. A process of its
own beside a control worker, since a thread in a parent that forks can leave a lock locked in its child.
"""

import logging
import os
import secrets
import threading
import time
from collections import Counter
from datetime import timedelta

from maskrelay.contract.outcomes import Failure
from maskrelay.errors import DecoderCrashed, LedgerUnavailable, ObjectMissing, StorageError
from maskrelay.ledger.claims import Condemned
from maskrelay.ledger.wakes import TASKS
from maskrelay.rules.lanes import loops_wanted
from worker.artifacts import Recorded
from worker.clearing import clear_for_ever
from worker.deadlines import cancel_overdue
from worker.outcome_parts import part_name, write_part
from worker.parts import Parts
from worker.reconcile import Found, reconcile
from worker.record import failed
from worker.submissions import Plans

log = logging.getLogger(__name__)


def sweep_for_ever(parts: Parts, parent: int) -> None:
    """Sweep every period until the parent process is gone. Redis or storage away: the next sweep finds it all."""
    period = parts.settings.sweep_period
    plans = Plans(parts.storage)
    threading.Thread(target=clear_for_ever, args=(parts, parent), name="clearing", daemon=True).start()
    while os.getppid() == parent:
        began = time.monotonic()
        try:
            if parts.ledger.sweeps.lock(period * 0.9):
                sweep(parts, plans, compare_every=parts.settings.reconcile_period)
        except (LedgerUnavailable, StorageError) as error:
            log.warning("sweep put off: %s", error.code)
        except Exception:
            log.exception("sweep failed")
        time.sleep(max(0.0, period.total_seconds() - (time.monotonic() - began)))


def sweep(parts: Parts, plans: Plans, *, compare_every: timedelta) -> Found:
    """One pass; safe anywhere, in any number, at any time. Storage and ledger are compared after so long."""
    found = _compare(parts, compare_every)
    lapsed, condemned = parts.ledger.claims.lapse()
    if lapsed:
        log.warning("leases lapsed: %d", lapsed)
    for frame in condemned:
        _fail(parts, plans, frame)
    found.update({"leases of lost workers taken back": lapsed, "frames that ended two workers failed": len(condemned)})
    found.update(_kick(parts))
    cancel_overdue(parts)
    return found


def _compare(parts: Parts, period: timedelta) -> Found:
    token = parts.ledger.sweeps.begin_reconciling(period)
    if token is None:
        return Counter()
    found = reconcile(parts)
    complete = parts.ledger.sweeps.end_reconciling(token)
    told = ", ".join(f"{what}: {count}" for what, count in found.items() if count) or "nothing"
    log.info("reconciled %s%s", told, "" if complete else "; Redis was lost meanwhile, again soon")
    return found


def _fail(parts: Parts, plans: Plans, frame: Condemned) -> None:
    """Write the outcome of a frame that ended two workers alone."""
    try:
        planned = plans.frame(frame.job, frame.frame)
    except ObjectMissing:
        return
    error = DecoderCrashed()
    outcome = failed(planned, Failure(code=error.code, detail=error.detail), 2)
    part = part_name(time.time() * 1000, secrets.token_hex(4), 1)
    write_part(parts.storage, parts.ledger.claims, frame.job, part, [(frame.token, Recorded(outcome))])
    parts.noticed.happened("failed", error.code)
    log.error("decoder crashed", extra={"job_id": frame.job, "frame": frame.frame})


def _kick(parts: Parts) -> Found:
    """A wake-up wherever work waits and nothing runs: also where whoever planned, assembled or finished fell silent."""
    found: Found = Counter()
    for task in TASKS:
        work = parts.ledger.wakes.work(task)
        wanted = min(work, 1)
        if task == "segment":
            wanted = 0 if _all_closed(parts) else loops_wanted(work, parts.settings.hands, parts.in_flight())
        found[f"wake-ups sent: {task}"] += parts.ledger.wakes.wake(task, wanted)
    return found


def _all_closed(parts: Parts) -> bool:
    """Whether no gate will open before the next sweep."""
    flow = parts.ledger.flow(())
    closed = [flow.look(endpoint.name).closed_for for endpoint in parts.ledger.endpoints.known()]
    return bool(closed) and min(closed) > parts.settings.sweep_period
