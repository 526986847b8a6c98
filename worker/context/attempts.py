"""Run one attempt at a step of a job. An outage does not count as a failure; repeated failures end the job."""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from maskrelay.errors import LedgerUnavailable, StorageUnavailable
from maskrelay.ledger.step_leases import StepLease
from worker.context import WorkerContext
from worker.context.halted_jobs import halt
from worker.context.lease_renewal import LeaseRenewal

log = logging.getLogger(__name__)
#: A step that failed, or crashed its process, this many times without progress in between ends its job.
TRIES = 5
#: Pause before a step is retried while storage or Redis is unavailable.
OUTAGE = timedelta(seconds=5)


def pause_after(tries: int) -> timedelta:
    """Return how long a step waits after this many failed attempts."""
    return timedelta(seconds=2 ** (tries - 1))


def attempt(context: WorkerContext, lease: StepLease, step: Callable[[], None]) -> None:
    """Call `step` while the lease on the job's step is renewed.

    Raises StorageUnavailable and LedgerUnavailable; such an attempt does not count. Any other error counts as a failed
    attempt, as does an attempt that crashed its process. It is logged and not raised, so that the steps of other jobs
    continue.
    """
    steps = context.ledger.step_leases
    try:
        if lease.tries > TRIES:  # the last attempt crashed its process
            halt(context, lease.job, lease.kind)
            return
        with (
            LeaseRenewal(context.settings.renewal_period, partial(steps.renew, lease)),
            context.recorder.timed(lease.kind),
        ):
            step()
    except (StorageUnavailable, LedgerUnavailable):
        steps.excuse(lease, OUTAGE)
        raise
    except Exception:
        log.exception("a step failed", extra={"job_id": lease.job, "step": lease.kind, "tries": lease.tries})
        context.recorder.happened("step failed", lease.kind)
        if lease.tries >= TRIES:
            halt(context, lease.job, lease.kind)
        else:
            steps.put_off(lease, pause_after(lease.tries))
