"""The finish step, which counts outcomes in storage again, writes the final objects and `result.json`, and concludes
the job.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from typing import Literal

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import FRAMES_PER_PART, Result, Submission
from maskrelay.contract.vocabulary.outputs import REPORT
from maskrelay.endpoints import Endpoint
from maskrelay.errors import LedgerUnavailable, ObjectExists, ObjectMissing, StorageUnavailable
from maskrelay.ledger.claims import HeldFinish
from maskrelay.ledger.ledger_record import JobRecord
from maskrelay.ledger.step_leases import StepLease
from maskrelay.rules.lifecycle import verdict
from maskrelay.rules.timings import timings
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import read_submission
from worker.context import WorkerContext
from worker.context.attempts import attempt
from worker.context.job_records.conclusion import conclude, read_result
from worker.context.job_records.plans import planned_frames, unassembled
from worker.context.job_records.visible_outcomes import Saved, VisibleOutcomes, find_visible_outcomes, nothing_saved
from worker.context.turn import (
    ENDLESS,
    TimeIsUp,
    Turn,
    others_wait,
)
from worker.finish.final_objects import STRETCH_PARTS, FinalObjects, write_final_objects
from worker.finish.run_card import write_run_card

#: The packages that can change the pixels of a result. The result contains their versions.
_SOFTWARE = ("maskrelay", "numpy", "pillow", "httpx", "pydicom", "pylibjpeg", "nibabel", "highdicom")

#: The name of the object in which `VisibleOutcomes.state` is saved when the time of an attempt is over.
_LINES = "lines"


@cache
def _software() -> dict[str, str]:
    """Return the versions of these packages.

    They are cached, because reading them takes milliseconds, and they do not change while a process runs.
    """
    return {name: version(name) for name in _SOFTWARE}


def finish_jobs(context: WorkerContext, until: float) -> None:
    """Finish waiting jobs until `until` (monotonic seconds). The remaining jobs wait for the next wake-up."""
    while time.monotonic() < until:
        lease = context.ledger.step_leases.take("finish")
        if lease is None:
            return
        turn = Turn(until, partial(others_wait, context))
        others = partial(_finish_another, context, Turn(float("inf"), partial(others_wait, context)))
        attempt(context, lease, partial(finish_job, context, lease, turn, others))
        if turn.is_over():
            return


def finish_single_frame(context: WorkerContext, held: HeldFinish) -> None:
    """Finish a job of a single frame in the process that has just settled the frame.

    If storage or Redis is unavailable, the step is taken again later, by another process. This takes milliseconds, so
    the lease is not renewed. If storage stalls until the lease lapses, another process takes the step and renews it.
    """
    with suppress(StorageUnavailable, LedgerUnavailable):
        attempt(context, held.lease, partial(finish_job, context, held.lease, known=held), renewed=False)


def _finish_another(context: WorkerContext, turn: Turn) -> None:
    """If `turn` is over, take another job that waits to be finished, and finish it or continue its finishing.

    The joining of a large job's stretches cannot be interrupted and continued later. Other jobs are therefore finished
    between two stretches.
    """
    if turn.is_over() and (lease := context.ledger.step_leases.take("finish")) is not None:
        attempt(context, lease, partial(finish_job, context, lease, Turn(time.monotonic())))


def finish_job(
    context: WorkerContext,
    lease: StepLease,
    turn: Turn = ENDLESS,
    others: Callable[[], None] = lambda: None,
    known: HeldFinish | None = None,
) -> None:
    """Finish one job. If `turn` is over before that, return the step to the queue.

    If two workers finish a job, the second uses the result of the first. During long work that cannot be interrupted
    and continued later, `others` is called from time to time. `known` is the ledger's record of the job, if it was
    read when the step was taken.
    """
    try:
        submission = read_submission(context.storage, lease.job)
    except ObjectMissing:
        return
    with context.spans.span("finish", submission.traceparent, kind="consumer", job_id=lease.job):
        try:
            result = read_result(context, lease.job) or _make_result(context, submission, lease, turn, others, known)
        except TimeIsUp:
            context.ledger.step_leases.hand_back(lease)
            return
        if result is not None:
            conclude(context, submission, result)


def _make_result(
    context: WorkerContext,
    submission: Submission,
    lease: StepLease,
    turn: Turn,
    others: Callable[[], None],
    known: HeldFinish | None,
) -> Result | None:
    """Make and store the result, and return it.

    Return None if the job is not in the state `finishing`, if frames must be scored again first, or if files of items
    must be made first. Raises TimeIsUp if `turn` is over. The work that was done so far is then in storage, and another
    attempt continues from it.
    """
    record = known.record if known else context.ledger.jobs.get(submission.id)
    if record is None or record.state != "finishing":
        return None
    record = _counted(context, record)
    listed = known.parts if known else context.ledger.jobs.parts(submission.id)
    saved: Saved = partial(_saved, context.storage, submission.id)
    if record.frame_parts <= STRETCH_PARTS:  # a small job is finished without interruption
        turn, saved = ENDLESS, nothing_saved
    frames = record.frames.planned
    with closing(
        find_visible_outcomes(context.storage, submission.id, frames, listed, turn=turn, saved=saved)
    ) as visible:
        try:
            return _result_of(context, submission, record, lease, visible, turn, others, known)
        except TimeIsUp:
            context.storage.put(keys.unfinished_object(submission.id, visible.name, _LINES), visible.state())
            raise


def _counted(context: WorkerContext, record: JobRecord) -> JobRecord:
    """Return the record of the job. If the ledger does not know the whole plan, count its parts in storage.

    If a job was cancelled during planning, or if the ledger lost the job, storage may contain more parts than the
    ledger has counted. The plan is complete if the last stored part is not full.
    """
    if record.planned:
        return record
    frame_parts, frames = planned_frames(context.storage, record.id)
    counted = record.frames.model_copy(update={"planned": frames})
    return replace(record, frame_parts=frame_parts, frames=counted, planned=frames % FRAMES_PER_PART != 0)


def _saved(storage: Storage, job: str, lines: str) -> bytes | None:
    with suppress(ObjectMissing):
        return storage.get(keys.unfinished_object(job, lines, _LINES))
    return None


def _result_of(
    context: WorkerContext,
    submission: Submission,
    record: JobRecord,
    lease: StepLease,
    visible: VisibleOutcomes,
    turn: Turn,
    others: Callable[[], None],
    known: HeldFinish | None,
) -> Result | None:
    if not visible.complete:
        raise TimeIsUp
    if not visible.was_complete and (pending := _pending(context, record, lease, visible)):
        context.ledger.wake_ups.wake(*pending)
        return None
    storage = context.storage
    # Later attempts use the stretches of a large job, so each of these objects must be durable when it is visible.
    flushed = storage.flushed_later() if record.frame_parts <= STRETCH_PARTS else nullcontext()
    with flushed:  # everything is durable before the result is visible
        with context.meanwhile(_mark_for_sweeping, storage, submission.id) as marked:
            plan = storage, submission, record.frame_parts, visible
            written = write_final_objects(*plan, planned=record.planned, turn=turn, between=others)
        marked.result()
    endpoints = known.endpoints if known else context.ledger.endpoints.known()
    result = _result(submission, record, written, visible, endpoints)
    if REPORT in submission.outputs:
        result = result.model_copy(update={"report": write_run_card(storage, result)})
    try:
        context.storage.create(
            keys.result(submission.id), result.model_dump_json(indent=1).encode(), "application/json"
        )
    except ObjectExists:
        return read_result(context, submission.id)
    return result


def _mark_for_sweeping(storage: Storage, job: str) -> None:
    with storage.flushed_later():
        storage.put(keys.sweeping(job), b"")


def _pending(
    context: WorkerContext, record: JobRecord, lease: StepLease, visible: VisibleOutcomes
) -> tuple[Literal["segment", "assemble"], int] | None:
    """Queue the work that must be done before the job can be finished.

    Return the task of this work and the number of worker loops to wake, or None if there is no such work.
    """
    if record.cancel_reason is not None:
        return None
    if missing := visible.missing():
        context.ledger.step_leases.reopen(lease, missing)
        return "segment", 1
    if lacking := unassembled(context.storage, lease.job, record.frame_parts):
        context.ledger.step_leases.assemble(lease, lacking)
        return "assemble", len(lacking)
    return None


def _result(
    submission: Submission,
    record: JobRecord,
    written: FinalObjects,
    visible: VisibleOutcomes,
    endpoints: Sequence[Endpoint],
) -> Result:
    decided = written.frames.succeeded + written.frames.failed
    now = datetime.now(UTC)
    return Result(
        job=submission.id,
        tenant=submission.tenant,
        state=verdict(written.counts, cancelled=record.cancel_reason is not None),
        created_at=submission.created_at,
        started_at=record.started_at,
        finished_at=now,
        counts=written.counts,
        frames=written.frames,
        rescored=visible.lines_read - decided,
        timings=timings(record.moments._replace(finished=now), record.spent, now),
        reason=record.cancel_reason,
        items=written.items,
        index=written.index,
        flags=dict(written.flags),
        flagged=written.flagged,
        dead=written.dead,
        parts=written.parts,
        software=_software(),
        pixels={"canvas": 1024, "resize": "Pillow BICUBIC", "back": "bilinear", "threshold": 128},
        endpoints=tuple(
            {"name": endpoint.name, "model_version": endpoint.model_version, "encoding": endpoint.encoding}
            for endpoint in endpoints
        ),
        metadata=submission.metadata,
    )
