"""Segment one frame: judge earlier failures, read the source, decode, score, draw and store."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import PlannedFrame, Submission
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.contract.wire.image2d import CANVAS
from maskrelay.errors import (
    AnswerInvalid,
    DecodeTooLarge,
    EndpointBusy,
    ItemError,
    LedgerUnavailable,
    SourceTooLarge,
)
from maskrelay.imaging.frame_pixels import (
    PreparedFrame,
    draw_footprint,
    needs_pixels,
    prepare_opened,
)
from maskrelay.imaging.read.source import OpenedFrame, open_frame, read_picture
from maskrelay.ledger.claims import Claim, Claims
from maskrelay.ledger.flow_control import Flow
from maskrelay.ledger.measurements import Stage, StageRecorder
from maskrelay.rules.pace import Pace
from maskrelay.rules.retry import judge
from maskrelay.storage.protocol import Storage
from maskrelay.telemetry.spans import Spans
from worker.context.job_records.outcome_parts import RecordedPart, failed, failure_of, store_loose
from worker.context.job_records.plans import Plans
from worker.context.source_cache import SourceCache
from worker.segment.admission import Admissions, ScoreRequest
from worker.segment.byte_budget import ByteBudget
from worker.segment.decoders import Decoders
from worker.segment.endpoint_pool import EndpointPool, of_one_version
from worker.segment.frame_outcomes import record
from worker.segment.prompt_groups import score_prompts
from worker.segment.row_batches import RowBatcher, ScoredRow
from worker.segment.scorer import Scorer

T = TypeVar("T")
#: Memory that a row takes while it is scored, in copies: of its image, itself and as base64; of each map of the answer,
#: likewise.
ROW_COPIES, MAP_COPIES = 2.4, 2.4


class ClaimLost(Exception):
    """The claim's token is no longer valid."""


class DecodeOverran(Exception):
    """Decoding exceeded its time limit. Its thread cannot be stopped."""


@dataclass(frozen=True, slots=True)
class FrameContext:
    """The objects that a frame is segmented with.

    Memory is reserved before it is used. A frame that holds memory of one budget waits for no budget listed before it,
    so that there is no deadlock.
    """

    storage: Storage
    sources: SourceCache
    claims: Claims
    flow: Flow
    plans: Plans
    pool: EndpointPool
    admissions: Admissions
    scorer: Scorer
    packs: RowBatcher
    threads: Executor
    #: Admits as many decodes as there are threads for them.
    decoders: Decoders
    #: Memory for source files, until they are decoded.
    files: ByteBudget
    #: Memory that decoding and drawing use.
    decoding: ByteBudget
    #: Memory for images that are kept while they are scored, to be drawn into. Any other image is decoded again.
    pictures: ByteBudget
    decode_timeout: timedelta
    max_pixels: int
    max_decode_bytes: int
    max_attempts: int
    recorder: StageRecorder
    spans: Spans
    pace: Pace = field(default_factory=Pace)


#: The stages that the worker times here. The scorer times its own stages, per request.
_OWN_STAGES: tuple[Stage, ...] = ("fetch", "decode", "prepare", "restore", "store")


@dataclass(slots=True)
class Stopwatch:
    """Milliseconds by stage. `score` includes the wait for admission."""

    timings: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def lap(self, stage: str) -> None:
        """Add the time since the last call to `stage`."""
        now = time.monotonic()
        self.timings[stage] = round(self.timings.get(stage, 0.0) + (now - self._since) * 1000, 1)
        self._since = now

    def working(self) -> float:
        """Return the total seconds of the worker's own stages."""
        return sum(self.timings.get(stage, 0.0) for stage in _OWN_STAGES) / 1000

    def tell(self, recorder: StageRecorder) -> None:
        """Report the worker's own stages."""
        for stage in _OWN_STAGES:
            if stage in self.timings:
                recorder.took(stage, self.timings[stage] / 1000)


async def segment_frame(
    context: FrameContext, claim: Claim, planned: PlannedFrame, submission: Submission
) -> RecordedPart:
    """Return the frame's outcome: its masks, or its own coded error.

    In the interactive lane its files are stored; in the bulk lane they are returned with it, to share an object with
    others. Raises errors that are not the frame's own, after which it is released: EndpointError, StorageUnavailable,
    LedgerUnavailable, ClaimLost; and DecodeOverran.
    """
    if planned.error is not None:
        return RecordedPart(failed(planned, planned.error, 1))
    with context.spans.span(
        "segment", submission.traceparent, kind="consumer", job_id=claim.job, frame=planned.frame
    ) as span:
        recorded = await _segmented(context, claim, planned, submission)
        if recorded.outcome.error is not None:
            span.note(code=recorded.outcome.error.code)
        return replace(recorded, traceparent=span.traceparent)


async def _segmented(
    context: FrameContext, claim: Claim, planned: PlannedFrame, submission: Submission
) -> RecordedPart:
    watch = Stopwatch()
    among = await _among(context, claim, planned, submission)
    asked = ScoreRequest(claim.job, claim.lane, among, submission.traceparent)
    await _check_open(context, asked)
    attempts, condemned = await _judged(context, claim, planned.frame, asked)
    if condemned:
        failure = Failure(code=condemned, detail="the endpoint failed on it again and again")
        return RecordedPart(failed(planned, failure, attempts))
    with ExitStack() as held:
        try:
            with context.spans.span("prepare"):
                gray = context.pool.takes_gray(among)
                prepared = _kept(
                    context, await _prepared(context, claim, planned, watch, gray=gray), planned.outputs, held
                )
        except ItemError as error:
            return RecordedPart(failed(planned, failure_of(error), attempts + 1))
        one_by_one = submission.one_prompt_per_request
        scored = await _scored(context, claim, planned, prepared, asked, one_by_one=one_by_one)
        watch.lap("score")
        with context.spans.span("restore"):
            recorded = await _restored(context, claim, planned, prepared, scored, attempts + 1)
    watch.lap("restore")
    if claim.lane == "interactive":
        with context.spans.span("store"):
            await asyncio.to_thread(store_loose, context.storage, recorded.files)
        recorded = RecordedPart(recorded.outcome)
        watch.lap("store")
    watch.tell(context.recorder)
    weight = ROW_COPIES * len(prepared.row.image) + MAP_COPIES * CANVAS**2 * len(planned.prompts)
    context.pace.note(scoring=context.scorer.seconds, working=watch.working(), bytes=weight)
    return replace(recorded, outcome=recorded.outcome.model_copy(update={"timings_ms": watch.timings}))


async def _among(context: FrameContext, claim: Claim, planned: PlannedFrame, submission: Submission) -> tuple[str, ...]:
    """Return the endpoints that may score the frame."""
    among = context.pool.among(claim.tenant, submission.endpoint)
    if planned.of == 1:
        return among
    return await of_one_version(context.pool, context.admissions, context.claims, claim.job, planned.item, among)


async def _check_open(context: FrameContext, asked: ScoreRequest) -> None:
    """Raise EndpointBusy while every gate for the frame is closed, so that pixels are not decoded in vain."""
    closed_for = await context.admissions.closed_for(asked.among)
    if closed_for > timedelta(0):
        raise EndpointBusy(kind="gate", parked=True, come_back_s=closed_for.total_seconds())


async def _judged(context: FrameContext, claim: Claim, frame: int, asked: ScoreRequest) -> tuple[int, str | None]:
    """Return the attempts counted against the frame, and the code it fails with if they are too many.

    A recorded failure counts only if its endpoint has answered another input successfully since; if it was not asked
    since, the canary is sent.
    """
    trouble = claim.trouble(frame)
    attempts = trouble.attempts
    if trouble.struck and trouble.endpoint in asked.among:
        flow = await asyncio.to_thread(context.flow.look, trouble.endpoint)
        verdict = judge(trouble, flow.last_good_ms, flow.excused_ms, is_open=flow.gate == "open")
        if verdict == "ask":
            await context.scorer.ask_canary(replace(asked, among=(trouble.endpoint,)))
        if verdict != "clear":
            attempts = await asyncio.to_thread(context.claims.charge, claim.token, frame)
        if attempts < 0:
            raise ClaimLost
    return attempts, trouble.code if attempts >= context.max_attempts else None


async def _prepared(
    context: FrameContext, claim: Claim, planned: PlannedFrame, watch: Stopwatch, *, gray: bool
) -> PreparedFrame:
    """Return the decoded source; raises its ItemError, or DecodeOverran past the time limit."""
    if planned.size > context.max_decode_bytes:
        raise SourceTooLarge(f"the file has {planned.size} bytes, at most {context.max_decode_bytes} are opened")
    reading = planned.reading

    async with _source(context, planned) as source:

        def prepared(opened: OpenedFrame) -> PreparedFrame:
            about: dict[str, Any] = {"reading": reading, "square_pixels": planned.square_pixels, "gray": gray}
            return prepare_opened(opened, planned.prompts, lap=watch.lap, **about)

        def begin() -> PreparedFrame | OpenedFrame:
            """Decode in the same call if the memory is free, as it usually is."""
            watch.lap("fetch")
            opened = open_frame(source, reading, max_pixels=context.max_pixels)
            if not context.decoding.try_take(opened.footprint):
                return opened
            try:
                return prepared(opened)
            finally:
                context.decoding.give_back(opened.footprint)

        begun = await _timed(context, claim, begin)
        if isinstance(begun, OpenedFrame):
            opened = begun
            _check_footprint(context, "Decoding it", opened.footprint)
            async with context.decoding.of(opened.footprint):
                begun = await _timed(context, claim, lambda: prepared(opened))
    _check_footprint(context, "Drawing its masks", _draw_footprint(planned, begun))
    return begun


@asynccontextmanager
async def _source(context: FrameContext, planned: PlannedFrame) -> AsyncIterator[bytes | Path]:
    """The frame's opened source. Its bytes count as held until it is decoded."""
    async with context.files.of(0 if planned.reading.several else planned.size):
        with ExitStack() as held:
            opened = context.sources.opened(planned.source, planned.extent, planned.reading)
            yield await asyncio.to_thread(held.enter_context, opened)


async def _timed(context: FrameContext, claim: Claim, call: Callable[[], T]) -> T:
    """Run decoding work in a thread when it is the tenant's turn; raises DecodeOverran past the time limit."""
    try:
        async with context.decoders.place(claim.tenant):
            decoding = asyncio.get_running_loop().run_in_executor(context.threads, call)
            async with asyncio.timeout(context.decode_timeout.total_seconds()):
                return await asyncio.shield(decoding)
    except TimeoutError as error:
        raise DecodeOverran from error
    finally:
        if seconds := context.decoders.whole_seconds(claim.tenant):
            with suppress(LedgerUnavailable):
                await asyncio.to_thread(context.claims.used, claim.lane, claim.tenant, seconds)


def _check_footprint(context: FrameContext, what: str, footprint: int) -> None:
    """Raise DecodeTooLarge if it would never fit."""
    if footprint > context.decoding.total:
        fields = {"bytes": footprint, "most_bytes": context.decoding.total}
        raise DecodeTooLarge(
            f"{what} may take {footprint} bytes of memory; at most {context.decoding.total}.", **fields
        )


def _draw_footprint(planned: PlannedFrame, prepared: PreparedFrame) -> int:
    return draw_footprint(prepared.box, len(planned.prompts), planned.outputs)


def _kept(context: FrameContext, prepared: PreparedFrame, outputs: Sequence[Output], held: ExitStack) -> PreparedFrame:
    """Return the frame without its image, unless it is drawn into and there is memory for it until `held` ends."""
    size = prepared.picture.pixels.nbytes if prepared.picture is not None else 0
    if needs_pixels(outputs) and context.pictures.try_take(size):
        held.callback(context.pictures.give_back, size)
        return prepared
    return replace(prepared, picture=None)


async def _restored(
    context: FrameContext,
    claim: Claim,
    planned: PlannedFrame,
    prepared: PreparedFrame,
    scored: ScoredRow,
    attempts: int,
) -> RecordedPart:
    """Return the outcome with its files; raises AnswerInvalid, DecodeOverran."""
    footprint = _draw_footprint(planned, prepared)
    if prepared.picture is not None or not needs_pixels(planned.outputs):
        async with context.decoding.of(footprint):
            return await _in_thread(context, record, claim, planned, prepared, scored, attempts)
    try:
        async with _source(context, planned) as source, context.decoding.of(max(footprint, prepared.footprint)):
            picture = await _timed(
                context, claim, partial(read_picture, source, planned.reading, max_pixels=context.max_pixels)
            )
            again = replace(prepared, picture=picture)
            return await _in_thread(context, record, claim, planned, again, scored, attempts)
    except ItemError as error:  # the source was removed meanwhile
        return RecordedPart(failed(planned, failure_of(error), attempts))


async def _scored(
    context: FrameContext,
    claim: Claim,
    planned: PlannedFrame,
    prepared: PreparedFrame,
    asked: ScoreRequest,
    *,
    one_by_one: bool,
) -> ScoredRow:
    """Return the answer.

    An answer that violates the contract is stored as it was received before the error is raised.
    """
    try:
        name = f"{claim.job}:{planned.frame}"
        return await score_prompts(context.pool, context.packs, prepared.row, asked, name, one_by_one=one_by_one)
    except AnswerInvalid as error:
        raw = getattr(error, "raw", None)
        if raw:
            key = keys.rejected_answer(claim.job, planned.item, planned.frame, claim.token[:8])
            await asyncio.to_thread(store_loose, context.storage, {key: raw})
        raise


async def _in_thread(context: FrameContext, call: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(context.threads, lambda: call(*arguments))
