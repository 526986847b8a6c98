"""Attempts at a step of a job. An outage does not count as a failed attempt. Repeated failures end the job."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from functools import partial

from maskrelay.errors import LedgerUnavailable, SourceUnavailable, StorageUnavailable
from maskrelay.ledger.step_leases import StepLease
from worker.context import WorkerContext
from worker.context.halted_jobs import halt
from worker.context.lease_renewal import LeaseRenewal

log = logging.getLogger(__name__)
#: A step that has failed or crashed its process this many times, without progress in between, ends its job.
TRIES = 5
#: The pause before a step is tried again after storage or Redis was unavailable.
OUTAGE = timedelta(seconds=5)


def pause_after(tries: int) -> timedelta:
    """Return how long a step waits after this number of failed attempts."""
    return timedelta(seconds=2 ** (tries - 1))


def attempt(context: WorkerContext, lease: StepLease, step: Callable[[], None], *, renewed: bool = True) -> None:
    """Call `step`, and renew the lease on the job's step in the meantime, unless `renewed` is false.

    If storage or Redis is unavailable, the attempt does not count, and StorageUnavailable or LedgerUnavailable is
    raised. If the store of a source by reference is unavailable, the attempt does not count either, but nothing is
    raised. Any other error, or a crash of the process, counts as a failed attempt. Such an error is logged and not
    raised, so the steps of other jobs continue.
    """
    steps, kind = context.ledger.step_leases, lease.kind
    assert kind != "tabulate"  # its failures never end a job
    try:
        if lease.tries > TRIES:  # this happens only if the last attempt crashed its process
            halt(context, lease.job, kind)
            return
        renewal = LeaseRenewal(context.settings.renewal_period, partial(steps.renew, lease))
        with renewal if renewed else nullcontext(), context.recorder.timed(lease.kind):
            step()
    except SourceUnavailable as error:
        log.info("the step waits for a source", extra={"job_id": lease.job, "step": lease.kind, "reason": error.reason})
        context.recorder.happened("parked", error.code)
        steps.excuse(lease, OUTAGE)
    except (StorageUnavailable, LedgerUnavailable):
        steps.excuse(lease, OUTAGE)
        raise
    except Exception:
        log.exception("a step failed", extra={"job_id": lease.job, "step": lease.kind, "tries": lease.tries})
        context.recorder.happened("step failed", lease.kind)
        if lease.tries >= TRIES:
            halt(context, lease.job, kind)
        else:
            steps.put_off(lease, pause_after(lease.tries))
