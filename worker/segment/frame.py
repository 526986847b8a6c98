"""Segment one frame: judge its earlier failures, read the source, decode, score, draw and store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import PlannedFrame, Submission
from maskrelay.contract.wire.image2d import CANVAS
from maskrelay.errors import (
    AnswerInvalid,
    EndpointBusy,
    EndpointError,
    ItemError,
    LedgerUnavailable,
)
from maskrelay.imaging.frame_pixels import (
    PreparedFrame,
    needs_pixels,
)
from maskrelay.imaging.read.source import read_picture
from maskrelay.ledger.claims import Claim
from maskrelay.rules.retry import NO_ENDPOINT, judge
from worker.context.job_records.outcome_parts import RecordedPart, failed, failure_of, store_loose
from worker.segment.admission import ScoreRequest
from worker.segment.canvas_choice import canvas_coding
from worker.segment.endpoint_pool import of_one_version
from worker.segment.frame_context import ClaimLost, FrameContext, Stopwatch
from worker.segment.frame_decoding import (
    decode_in_turn,
    drawing_footprint,
    keep_picture,
    opened_source,
    prepare_frame,
)
from worker.segment.frame_outcomes import record
from worker.segment.prompt_groups import score_prompts
from worker.segment.row_batches import ScoredRow
from worker.segment.score_reuse import FrameScores, mark_of
from worker.segment.source_reuse import reuse_key

T = TypeVar("T")
#: The memory that a row takes while it is scored, as multiples of the size of its image and of the size of its
#: probability maps. The image and the maps are each in memory twice, as bytes and in base64.
ROW_COPIES, MAP_COPIES = 2.4, 2.4


async def segment_frame(
    context: FrameContext, claim: Claim, planned: PlannedFrame, submission: Submission
) -> RecordedPart:
    """Return the outcome of the frame: its masks, or its own coded error.

    In the interactive lane, the files of the frame are stored. In the bulk lane, they are returned with the outcome, so
    that several frames can share an object. Raises EndpointError, StorageUnavailable, LedgerUnavailable, ClaimLost or
    DecodeOverran if the frame gets no outcome this time.
    """
    if planned.error is not None:
        return RecordedPart(failed(planned, planned.error, 1))
    with context.spans.span(
        "segment", submission.traceparent, kind="consumer", job_id=claim.job, frame=planned.frame
    ) as span:
        scope = context.reuse.declared_scope(context.pool.among(claim.tenant, submission.endpoint), claim.tenant)
        key = reuse_key(planned, submission, scope)
        recorded = await _copied(context, claim, planned, submission, key)
        recorded = recorded or await _segmented(context, claim, planned, submission)
        outcome = recorded.outcome.model_copy(update={"reuse_key": key})
        if outcome.error is not None:
            span.note(code=outcome.error.code)
        return replace(recorded, outcome=outcome, traceparent=span.traceparent)


async def _copied(
    context: FrameContext, claim: Claim, planned: PlannedFrame, submission: Submission, key: str | None
) -> RecordedPart | None:
    """Return the outcome that an earlier job of the tenant has for the same frame, or None if there is none."""
    if key is None:
        return None
    copied = await asyncio.to_thread(context.source_reuse.copied, key, claim, planned)
    if copied is None or claim.lane != "interactive":
        return copied
    await asyncio.to_thread(store_loose, context.storage, copied.files)
    return RecordedPart(copied.outcome, only=_is_only(planned, submission), copied_from=copied.copied_from)


async def _segmented(
    context: FrameContext, claim: Claim, planned: PlannedFrame, submission: Submission
) -> RecordedPart:
    watch = Stopwatch()
    among = await _among(context, claim, planned, submission)
    asked = ScoreRequest(claim.job, claim.lane, among, submission.traceparent)
    await _check_open(context, asked)
    attempts, last_code = await _judged(context, claim, planned.frame, asked)
    if last_code:
        failure = Failure(code=last_code, detail="the endpoint failed on this frame repeatedly")
        return RecordedPart(failed(planned, failure, attempts))
    scope = context.reuse.scope(asked, claim.tenant, is_run=submission.run is not None) if submission.reuse else None
    with ExitStack() as held:
        try:
            with context.spans.span("prepare"):
                scorer = context.scorer
                coding = canvas_coding(context.pool, scorer.wires, scorer.pictures, context.admissions, among)
                hashed = scope is not None
                prepared = context.unscored.take(claim.job, planned.frame, coding, hashed=hashed)
                prepared = prepared or await prepare_frame(context, claim, planned, watch, coding, hashed=hashed)
                prepared = keep_picture(context, prepared, planned.outputs, held)
        except ItemError as error:
            return RecordedPart(failed(planned, failure_of(error), attempts + 1))
        one_by_one = submission.one_prompt_per_request
        scores = _scores(context, claim, planned, prepared, scope)
        async with _abandoned_after_error(scores):
            try:
                scored = await _scored(context, claim, planned, prepared, asked, scores, one_by_one=one_by_one)
            except (EndpointError, LedgerUnavailable):
                context.unscored.keep(claim.job, planned.frame, coding, prepared)
                raise
            watch.lap("score")
            with context.spans.span("restore"):
                recorded = await _restored(context, claim, planned, prepared, scored, scores, attempts + 1)
            watch.lap("restore")
            held.close()  # the image is not needed any more
            if claim.lane == "interactive":
                recorded = await _stored(context, recorded, only=_is_only(planned, submission))
                watch.lap("store")
    watch.tell(context.recorder)
    weight = ROW_COPIES * len(prepared.row.image) + MAP_COPIES * CANVAS**2 * len(planned.prompts)
    context.pace.note(scoring=context.scorer.seconds, working=watch.working(), bytes=weight)
    return replace(recorded, outcome=recorded.outcome.model_copy(update={"timings_ms": watch.timings}))


@asynccontextmanager
async def _abandoned_after_error(scores: FrameScores | None) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        if scores is not None:
            await asyncio.shield(scores.abandon())
        raise


async def _stored(context: FrameContext, recorded: RecordedPart, *, only: bool) -> RecordedPart:
    """Store the files of the outcome. Return the outcome without them."""
    with context.spans.span("store"):
        await asyncio.to_thread(store_loose, context.storage, recorded.files)
    return RecordedPart(recorded.outcome, only=only)


def _scores(
    context: FrameContext, claim: Claim, planned: PlannedFrame, prepared: PreparedFrame, scope: str | None
) -> FrameScores | None:
    """Return the scores of the frame if they can be reused."""
    if scope is None or prepared.canvas_sha256 is None:
        return None
    mark = mark_of(claim.token, planned.frame)
    return FrameScores(context.reuse, scope, prepared.canvas_sha256, planned, mark, context.threads)


def _is_only(planned: PlannedFrame, submission: Submission) -> bool:
    """Return whether the job consists of this frame alone: one image, not a member of an archive."""
    return submission.total == 1 and planned.of == 1 and planned.extent is None and planned.reading.kind == "still"


async def _among(context: FrameContext, claim: Claim, planned: PlannedFrame, submission: Submission) -> tuple[str, ...]:
    """Return the endpoints that may score the frame."""
    among = context.pool.among(claim.tenant, submission.endpoint)
    if planned.of == 1:
        return among
    return await of_one_version(context.pool, context.admissions, context.claims, claim.job, planned.item, among)


async def _check_open(context: FrameContext, asked: ScoreRequest) -> None:
    """Raise EndpointBusy if no gate for the frame is open, because decoding its pixels would be in vain."""
    closed_for = await context.admissions.closed_for(asked.among)
    if closed_for > timedelta(0):
        kind = "gate" if asked.among else NO_ENDPOINT
        raise EndpointBusy(kind=kind, come_back_s=closed_for.total_seconds())


async def _judged(context: FrameContext, claim: Claim, frame: int, asked: ScoreRequest) -> tuple[int, str | None]:
    """Return the number of attempts that count against the frame.

    If there are too many, also return the error code of the last failure, otherwise None. The last failure counts only
    if the endpoint has answered another input successfully since then. If it has not, the canary is sent first, and an
    EndpointError is raised if the answer to the canary is not correct. Failures in an outage of the endpoint do not
    count.
    """
    trouble = claim.trouble(frame)
    attempts = trouble.attempts
    if trouble.struck and trouble.endpoint in asked.among:
        flow = await asyncio.to_thread(context.flow.state, trouble.endpoint)
        verdict = judge(trouble, flow.last_good_ms, flow.excused_ms, is_open=flow.gate == "open")
        if verdict == "ask":
            await context.scorer.ask_canary(replace(asked, among=(trouble.endpoint,)))
        if verdict != "clear":
            attempts = await asyncio.to_thread(context.claims.charge, claim.token, frame)
        if attempts < 0:
            raise ClaimLost
    return attempts, trouble.code if attempts >= context.max_attempts else None


async def _restored(
    context: FrameContext,
    claim: Claim,
    planned: PlannedFrame,
    prepared: PreparedFrame,
    scored: ScoredRow,
    scores: FrameScores | None,
    attempts: int,
) -> RecordedPart:
    """Draw the masks of a scored frame, and return its outcome with its files.

    If the image was not kept although it is needed, the source is decoded again. Raises AnswerInvalid or DecodeOverran.
    """
    footprint = drawing_footprint(planned, prepared)
    if prepared.picture is not None or not needs_pixels(planned.outputs):
        async with context.decoding.of(footprint):
            return await _in_thread(context, record, claim, planned, prepared, scored, scores, attempts)
    try:
        async with opened_source(context, planned) as source, context.decoding.of(max(footprint, prepared.footprint)):
            picture = await decode_in_turn(
                context, claim, partial(read_picture, source, planned.reading, max_pixels=context.max_pixels)
            )
            again = replace(prepared, picture=picture)
            return await _in_thread(context, record, claim, planned, again, scored, scores, attempts)
    except ItemError as error:  # the source was removed in the meantime
        if scores is not None:
            await scores.abandon()
        return RecordedPart(failed(planned, failure_of(error), attempts))


async def _scored(
    context: FrameContext,
    claim: Claim,
    planned: PlannedFrame,
    prepared: PreparedFrame,
    asked: ScoreRequest,
    scores: FrameScores | None,
    *,
    one_by_one: bool,
) -> ScoredRow:
    """Return the endpoint's answer for the frame.

    If the answer is not valid, it is stored as it was received, and AnswerInvalid is raised.
    """
    try:
        name = f"{claim.job}:{planned.frame}"
        packs = scores or context.reuse.packs
        return await score_prompts(context.pool, packs, prepared.row, asked, name, one_by_one=one_by_one)
    except AnswerInvalid as error:
        raw = getattr(error, "raw", None)
        if raw:
            key = keys.rejected_answer(claim.job, planned.item, planned.frame, claim.token[:8])
            await asyncio.to_thread(store_loose, context.storage, {key: raw})
            await asyncio.to_thread(context.storage.flush)
        raise


async def _in_thread(context: FrameContext, call: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(context.threads, lambda: call(*arguments))
