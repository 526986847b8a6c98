"""The sweep, which releases lapsed leases, sends lost wake-ups, cancels overdue jobs, and compares storage with the
ledger.

It is a separate process that a control worker starts. It cannot be a thread of the control worker, because the control
worker forks. A lock that the thread holds at that moment would stay locked in the child process.
"""

import logging
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from threading import Thread

from maskrelay import threads
from maskrelay.contract.record import Failure
from maskrelay.contract.records.endings import BY_DEADLINE
from maskrelay.errors import DecoderCrashed, LedgerUnavailable, ObjectMissing, StorageError
from maskrelay.ledger.claims import PoisonedFrame
from maskrelay.ledger.wakeups import TASKS
from maskrelay.rules.lanes import loops_wanted
from maskrelay.rules.lifecycle import may_cancel
from maskrelay.storage.markers import cancel_job
from worker.cleanup.cleanup_pass import clear_for_ever
from worker.context import WorkerContext
from worker.context.job_records.outcome_parts import RecordedPart, failed, part_name, write_part
from worker.context.job_records.plans import Plans
from worker.sweep.reconcile import Found, reconcile, reconcile_alone
from worker.sweep.watch_pass import watch_for_ever

log = logging.getLogger(__name__)
#: The seconds between two reports to Redis that a comparison is still running.
GO_ON = 3.0
JOBS_A_PASS = 100


class ComparisonLost(Exception):
    """Redis has lost its data, or another comparison was completed, since this comparison began."""


def sweep_for_ever(context: WorkerContext, parent: int, made_pass: Callable[[], None] = lambda: None) -> None:
    """Sweep in every period until the parent process is gone.

    A pass does nothing if another process has the lock of the sweep. `made_pass` is called after every pass, even if it
    did nothing or failed. If Redis or storage is unavailable, the next pass tries the same work again. Work that needs
    storage is done in separate threads, so the release of leases and the sending of wake-ups never wait for storage.
    """
    period = context.settings.sweep_period
    plans, amending = Plans(context.storage), Thread()
    threads.start(partial(clear_for_ever, context, parent), "clearing")
    threads.start(partial(watch_for_ever, context, parent), "watching")
    while os.getppid() == parent:
        began = time.monotonic()
        with _put_off("sweep"):
            if context.ledger.sweep_state.lock(period * 0.9):
                _, poisoned = _sweep_ledger(context)
                if not amending.is_alive():  # else the poisoned frames are found again when their new leases lapse
                    amending = Thread(target=_amend, args=(context, plans, poisoned), name="amending", daemon=True)
                    amending.start()
                _start_comparison(context, context.settings.reconcile_period)
        made_pass()
        time.sleep(max(0.0, period.total_seconds() - (time.monotonic() - began)))


@contextmanager
def _put_off(what: str) -> Iterator[None]:
    """Log any error and continue. The next pass tries again."""
    try:
        yield
    except (LedgerUnavailable, StorageError) as error:
        log.warning("%s postponed: %s", what, error.code)
    except Exception:
        log.exception("%s failed", what)


def sweep(context: WorkerContext, plans: Plans, *, compare_every: timedelta | None) -> Found:
    """Make one pass, including the work that needs storage. Any number of processes may do this at any time.

    If `compare_every` has passed since the last comparison of storage with the ledger, another comparison starts in a
    thread, which continues after this pass. If `compare_every` is None, no comparison starts.
    """
    found, poisoned = _sweep_ledger(context)
    _fail_all(context, plans, poisoned)
    cancel_overdue(context)
    compare_marked(context)
    if compare_every is not None:
        _start_comparison(context, compare_every)
    return found


def _sweep_ledger(context: WorkerContext) -> tuple[Found, list[PoisonedFrame]]:
    """Do the work that needs only the ledger: release lapsed leases, and send lost wake-ups.

    Return counts, and the frames to which an outcome with an error must be written.
    """
    lapsed, poisoned = context.ledger.claims.lapse()
    if lapsed:
        log.warning("leases lapsed: %d", lapsed)
    found: Found = Counter(
        {"leases of lost workers released": lapsed, "frames failed after ending two workers": len(poisoned)}
    )
    found.update(_kick(context))
    return found, poisoned


def _amend(context: WorkerContext, plans: Plans, poisoned: Sequence[PoisonedFrame]) -> None:
    """Do the work of one pass that needs storage, except the comparison of all jobs."""
    _fail_all(context, plans, poisoned)
    with _put_off("cancelling of overdue jobs"):
        cancel_overdue(context)
    with _put_off("comparison of single jobs"):
        compare_marked(context)


def _start_comparison(context: WorkerContext, period: timedelta) -> None:
    """Start a comparison of storage with the ledger in a separate thread if a comparison is due.

    The thread reports every few seconds that it is running. If it has not reported for half a minute, the next pass of
    any process may start a new comparison.
    """
    token = context.ledger.sweep_state.begin_reconciling(period)
    if token is not None:
        Thread(target=_compared, args=(context, token), name="comparing", daemon=True).start()


def _compared(context: WorkerContext, token: str) -> None:
    with _put_off("comparison"):
        _compare(context, token)


def compare(context: WorkerContext) -> Found:
    """Compare storage with the ledger now. If another process is already comparing them, return no counts."""
    token = context.ledger.sweep_state.begin_reconciling(timedelta(0))
    return Counter() if token is None else _compare(context, token)


def _compare(context: WorkerContext, token: str) -> Found:
    reported_at = time.monotonic()

    def go_on() -> None:
        nonlocal reported_at
        if time.monotonic() - reported_at > GO_ON:
            reported_at = time.monotonic()
            if not context.ledger.sweep_state.go_on_reconciling(token):
                raise ComparisonLost

    try:
        found = reconcile(context, go_on=go_on)
    except ComparisonLost:
        log.info("a comparison is obsolete and ends; another one is running or will run")
        return Counter()
    complete = context.ledger.sweep_state.end_reconciling(token)
    told_of = ", ".join(f"{what}: {count}" for what, count in found.items() if count) or "nothing"
    log.info(
        "reconciled %s%s",
        told_of,
        "" if complete else "; Redis lost its data, or another comparison ended, and this one will be repeated",
    )
    return found


def compare_marked(context: WorkerContext) -> None:
    """Compare single jobs with storage that are listed in the ledger for this.

    A job is listed if the API has changed it in storage but could not record the change in its ledger record. If this
    process ends after it has taken a job from the list, the regular comparison finds the job.
    """
    for _ in range(JOBS_A_PASS):
        job = context.ledger.sweep_state.take_uncompared()
        if job is None:
            return
        try:
            reconcile_alone(context, job)
        except (LedgerUnavailable, StorageError):
            context.ledger.sweep_state.compare_soon([job])
            raise


def _fail_all(context: WorkerContext, plans: Plans, poisoned: Iterable[PoisonedFrame]) -> None:
    for frame in poisoned:
        with _put_off("failing of a frame"):
            context.bad_objects.alone("condemned", frame.job, partial(_fail, context, plans, frame))


def _fail(context: WorkerContext, plans: Plans, frame: PoisonedFrame) -> None:
    """Write an outcome with an error for a frame that has crashed two workers while it was their only frame."""
    try:
        planned = plans.frame(frame.job, frame.frame)
    except ObjectMissing:
        return
    error = DecoderCrashed()
    outcome = failed(planned, Failure(code=error.code, detail=error.detail), 2)
    part = part_name(frame.now_ms, secrets.token_hex(4), 1)
    write_part(context.storage, context.ledger.claims, frame.job, part, [(frame.token, RecordedPart(outcome))])
    context.recorder.happened("failed", error.code)
    log.error("decoder crashed", extra={"job_id": frame.job, "frame": frame.frame})


def _kick(context: WorkerContext) -> Found:
    """Send wake-ups for every task that has work and too few running worker loops. Return counts.

    The work includes jobs whose planning, assembling or finishing process has died.
    """
    found: Found = Counter()
    for task in TASKS:
        work = context.ledger.wake_ups.work(task)
        wanted = work
        if task == "segment":
            wanted = (
                0
                if _all_closed(context)
                else loops_wanted(work, context.settings.frames_per_child, context.in_flight())
            )
        found[f"wake-ups sent: {task}"] += context.ledger.wake_ups.wake(task, wanted)
    return found


def _all_closed(context: WorkerContext) -> bool:
    """Return whether the gates of all known endpoints stay closed until after the next pass."""
    flow = context.ledger.flow(())
    closed = [flow.state(endpoint.name).closed_for for endpoint in context.ledger.endpoints.known()]
    return bool(closed) and min(closed) > context.settings.sweep_period


def cancel_overdue(context: WorkerContext) -> None:
    """Cancel overdue jobs. A job that is already finishing ends normally. Any number of processes may do this."""
    for job in context.ledger.jobs.overdue(JOBS_A_PASS):
        context.bad_objects.alone("deadlines", job, partial(_cancel, context, job))
        context.ledger.jobs.met_deadline(job)  # also if the job was skipped, because it would be returned again


def _cancel(context: WorkerContext, job: str) -> None:
    jobs = context.ledger.jobs
    record = jobs.get(job)
    if record is not None and may_cancel(record.state):
        cancel_job(context.storage, job, BY_DEADLINE, jobs.cancel)
        log.info("deadline passed", extra={"job_id": job})
        context.ledger.wake_ups.wake("finish")
