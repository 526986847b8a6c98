"""Cancel jobs whose deadline has passed: the intent is stored first, as for a cancel request."""

import logging
from functools import partial

from maskrelay.contract import keys
from maskrelay.contract.cancels import BY_DEADLINE
from maskrelay.rules.lifecycle import may_cancel
from maskrelay.storage.cancels import intend_cancel
from worker.parts import Parts

log = logging.getLogger(__name__)
JOBS_A_PASS = 100


def cancel_overdue(parts: Parts) -> None:
    """Cancel overdue jobs. A job that is finishing by then ends normally. Safe to repeat, and to run concurrently."""
    for job in parts.ledger.jobs.overdue(JOBS_A_PASS):
        parts.bad_objects.alone("deadlines", job, partial(_cancel, parts, job))
        parts.ledger.jobs.met_deadline(job)  # also for a job that was left out, which would otherwise block the others


def _cancel(parts: Parts, job: str) -> None:
    jobs = parts.ledger.jobs
    record = jobs.get(job)
    if record is not None and may_cancel(record.state):
        intend_cancel(parts.storage, job, BY_DEADLINE)
        before = jobs.cancel(job, BY_DEADLINE)
        if before is not None and not may_cancel(before):  # it ended meanwhile
            parts.storage.delete(keys.live_cancel(job))
        log.info("deadline passed", extra={"job_id": job})
        parts.ledger.wakes.wake("finish")
