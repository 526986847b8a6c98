"""The plan step, which turns the accepted items into frames, part by part.

Frames can be claimed while planning continues.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from maskrelay.contract.record import Record
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import (
    FRAMES_PER_PART,
    INTERACTIVE_ITEMS,
    Lane,
    Submission,
)
from maskrelay.errors import ItemError, JobHalted, LedgerUnavailable, ObjectMissing, RequestError
from maskrelay.ledger.step_leases import StepLease
from maskrelay.rules.lanes import loops_wanted
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import read_submission, write_records
from worker.context import WorkerContext
from worker.context.attempts import attempt
from worker.context.halted_jobs import refuse_run
from worker.context.job_records.event_records import RUNNING_PERIOD, announce, queue_tables
from worker.context.job_records.plans import read_frame_part, read_item_part
from worker.context.source_cache import SourceCache
from worker.context.turn import TimeIsUp, Turn, others_wait
from worker.plan.chunk_surveys import make_survey
from worker.plan.dry_run import forecast_job
from worker.plan.guarded_opening import GuardedOpener, StepLost
from worker.plan.layout import PlannedPart, planned_parts
from worker.plan.run_expansion import expand_run


def plan_jobs(context: WorkerContext, until: float) -> None:
    """Plan waiting jobs until `until` (monotonic seconds). The remaining jobs wait for the next wake-up.

    If no job waits, survey chunks of runs that other workers plan.
    """
    while time.monotonic() < until:
        lease = context.ledger.step_leases.take("plan")
        survey = context.ledger.survey_leases.take() if lease is None else None
        if lease is None and survey is None:
            return
        with contextlib.closing(context.sources()) as sources:
            if lease is not None:
                attempt(context, lease, partial(plan_job, context, sources, lease, until))
            elif survey is not None:
                make_survey(context, sources, survey, _check_time(context, until))


def plan_job(context: WorkerContext, sources: SourceCache, lease: StepLease, until: float) -> None:
    """Plan one job, beginning with the first part that the ledger has not counted yet.

    When `until` is over, or when other jobs wait, return the step to the queue.
    """
    try:
        submission = read_submission(context.storage, lease.job)
    except ObjectMissing:
        context.ledger.step_leases.hand_back(lease, context.settings.step_lease)
        return
    with context.spans.span("plan", submission.traceparent, kind="consumer", job_id=lease.job):
        _plan(context, sources, submission, lease, until)


def _plan(context: WorkerContext, sources: SourceCache, submission: Submission, lease: StepLease, until: float) -> None:
    counts = {"total": submission.total, "succeeded": 0, "partial": 0, "failed": 0, "cancelled": 0}
    announce(context, submission, "job.accepted", state="accepted", at=submission.created_at, counts=counts)
    queue_tables(context, submission, RUNNING_PERIOD)
    record = context.ledger.jobs.get(lease.job)
    first_part = record.frame_parts if record else 0

    check_time = _check_time(context, until)
    with contextlib.closing(GuardedOpener(context, lease)) as opening:
        try:
            if not _has_lines(context, submission, lease, check_time):
                return
            if submission.dry_run:
                forecast_job(context, sources, submission, lease, opening, check_time)
                return
            for part in planned_parts(context, sources, submission, opening, first_part, check_time):
                if not _extend(context, submission, lease, part):
                    return
                if part.number == 0:
                    announce(context, submission, "job.running", state="running", at=datetime.now(UTC), counts=counts)
                check_time()
        except TimeIsUp:
            context.ledger.step_leases.hand_back(lease)
        except StepLost:
            return


def _check_time(context: WorkerContext, until: float) -> Callable[[], None]:
    """Return a function that raises TimeIsUp when `until` is over, or when other steps wait."""
    turn = Turn(until, partial(others_wait, context))

    def check_time() -> None:
        if turn.is_over():
            raise TimeIsUp

    return check_time


def _has_lines(
    context: WorkerContext, submission: Submission, lease: StepLease, check_time: Callable[[], None]
) -> bool:
    """Read the lines of a run that was submitted as a manifest or a listing, if they are not read yet.

    Return False, and let the job end, if the lines cannot be used.
    """
    try:
        expand_run(context, submission, lease, check_time)
    except (JobHalted, RequestError, ItemError) as error:
        if context.ledger.step_leases.renew(lease):  # otherwise the worker that holds the step decides
            refuse_run(context, lease.job, error)
        return False
    return True


def _extend(context: WorkerContext, submission: Submission, lease: StepLease, part: PlannedPart) -> bool:
    """Write one part of the plan, or use the stored part if it exists. Then let its frames be claimed.

    Return False if this worker no longer holds the step.
    """
    job, storage = submission.id, context.storage
    items, frames = part.items, part.frames
    if part.ignored:
        write_records(storage, keys.ignored(job), part.ignored)
    # The two objects are written concurrently, because a caller may be waiting.
    with context.meanwhile(_written, storage, keys.frame_part(job, part.number), frames) as frames_are_ours:
        if not _written(storage, keys.item_part(job, part.number), items):
            items = read_item_part(storage, job, part.number)
    if not frames_are_ours.result():
        frames = read_frame_part(storage, job, part.number)
    storage.flush()
    extended = context.ledger.step_leases.extend(
        lease,
        part.number,
        first=part.number * FRAMES_PER_PART,
        n=len(frames),
        spans=[(item.first, item.frames) for item in items if item.frames > 1],
        last=part.last,
        lane=_lane(submission, frames[-1].frame + 1),
        items=frames[-1].item + 1,
    )
    with contextlib.suppress(LedgerUnavailable):
        wanted = loops_wanted(len(frames), context.settings.frames_per_child, context.in_flight())
        context.ledger.wake_ups.wake("segment", wanted)
    return extended


def _written(storage: Storage, key: str, records: Sequence[Record]) -> bool:
    """Write the records like `write_records`. They are durable only when the storage has been flushed."""
    with storage.flushed_later():
        return write_records(storage, key, records)


def _lane(submission: Submission, frames: int) -> Lane:
    """Return the lane of the job. A job with many frames is in the bulk lane, even if few items were submitted."""
    return "bulk" if frames > INTERACTIVE_ITEMS else submission.lane
