"""The sweep: finds lapsed leases, lost wake-ups, passed deadlines, and jobs that storage knows better. A process of its
own beside a control worker, since a thread in a parent that forks can leave a lock locked in its child.
"""

import logging
import os
import secrets
import threading
import time

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
from worker.reconcile import reconcile
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
                sweep(parts, plans)
        except (LedgerUnavailable, StorageError) as error:
            log.warning("sweep put off: %s", error.code)
        except Exception:
            log.exception("sweep failed")
        time.sleep(max(0.0, period.total_seconds() - (time.monotonic() - began)))


def sweep(parts: Parts, plans: Plans) -> None:
    """One pass; safe anywhere, in any number, at any time."""
    _compare(parts)
    lapsed, condemned = parts.ledger.claims.lapse()
    if lapsed:
        log.warning("leases lapsed: %d", lapsed)
    for frame in condemned:
        _fail(parts, plans, frame)
    _kick(parts)
    cancel_overdue(parts)


def _compare(parts: Parts) -> None:
    token = parts.ledger.sweeps.begin_reconciling(parts.settings.reconcile_period)
    if token is None:
        return
    live = reconcile(parts)
    complete = parts.ledger.sweeps.end_reconciling(token)
    log.info("reconciled %d live jobs%s", live, "" if complete else "; Redis was lost meanwhile, again soon")


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
    log.error("decoder crashed job_id=%s frame=%d", frame.job, frame.frame)


def _kick(parts: Parts) -> None:
    """A wake-up wherever work waits and nothing runs."""
    for task in TASKS:
        work = parts.ledger.wakes.work(task)
        wanted = min(work, 1)
        if task == "segment":
            wanted = 0 if _all_closed(parts) else loops_wanted(work, parts.settings.hands, parts.in_flight())
        parts.ledger.wakes.wake(task, wanted)


def _all_closed(parts: Parts) -> bool:
    """Whether no gate will open before the next sweep."""
    flow = parts.ledger.flow(())
    closed = [flow.look(endpoint.name).closed_for for endpoint in parts.ledger.endpoints.known()]
    return bool(closed) and min(closed) > parts.settings.sweep_period
