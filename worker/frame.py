"""The story of one frame, straight down: judged, read, decoded, scored, drawn, stored."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from maskrelay.contract import keys
from maskrelay.contract.jobs import PlannedFrame, Submission
from maskrelay.contract.outcomes import ArtifactRef, Failure, MaskOutcome, Outcome
from maskrelay.errors import (
    AnswerInvalid,
    DecodeTimeout,
    ItemError,
    ObjectExists,
    ObjectMissing,
    SourceMissing,
    SourceTooLarge,
)
from maskrelay.imaging.maps import Encoding
from maskrelay.ledger.claims import Claim, Claims
from maskrelay.ledger.flow import Flow
from maskrelay.rules.retry import judge
from maskrelay.scoring.endpoint import Scored
from maskrelay.storage.protocol import Storage
from worker.pixels import DrawnMask, Prepared, draw, prepare
from worker.score import Scorer
from worker.submissions import Plans


class ClaimLost(Exception):
    """The claim's token is not known any more."""


class DecodeOverran(Exception):
    """Decoding ran past its limit; its thread cannot be stopped."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a frame is worked on with. `decoders` admits as many decodes as there are threads for them."""

    storage: Storage
    claims: Claims
    flow: Flow
    plans: Plans
    scorer: Scorer
    threads: Executor
    decoders: asyncio.Semaphore
    decode_timeout: timedelta
    max_pixels: int
    max_decode_bytes: int
    max_attempts: int
    encoding: Encoding
    endpoint: str


@dataclass(slots=True)
class Stopwatch:
    """Milliseconds by stage."""

    timings: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.timings[stage] = round((now - self._since) * 1000, 1)
        self._since = now


async def segment_frame(bench: Bench, claim: Claim, frame: int) -> Outcome:
    """The frame's outcome: its masks, or the coded error that is its own.

    Raises what is not the frame's own and parks it: EndpointError, StorageUnavailable, LedgerUnavailable, ClaimLost;
    and DecodeOverran.
    """
    watch = Stopwatch()
    planned = await asyncio.to_thread(bench.plans.frame, claim.job, frame)
    submission = await asyncio.to_thread(bench.plans.submission, claim.job)
    attempts, condemned = await _judged(bench, claim, frame)
    if condemned:
        return failed(planned, Failure(code=condemned, detail="the endpoint failed on it again and again"), attempts)
    try:
        prepared = await _prepared(bench, planned)
    except ItemError as error:
        return failed(planned, Failure(code=error.code, detail=error.detail), attempts + 1)
    watch.lap("prepare")
    scored = await _scored(bench, claim, planned, prepared, submission)
    watch.lap("score")
    drawing = _in_thread(bench, draw, prepared, scored.answers[0], bench.encoding, submission.outputs)
    drawn, overlay = await drawing
    watch.lap("draw")
    attempt = claim.token[:8]
    masks = [
        await asyncio.to_thread(_store_mask, bench.storage, planned, claim.job, number, one, attempt)
        for number, one in enumerate(drawn)
    ]
    overlay_ref = None
    if overlay is not None:
        key = keys.overlay(claim.job, planned.item, frame, attempt)
        overlay_ref = await asyncio.to_thread(_store, bench.storage, key, overlay)
    watch.lap("store")
    return Outcome(
        frame=frame,
        item=planned.item,
        index=planned.index,
        state="succeeded",
        masks=tuple(masks),
        overlay=overlay_ref,
        geometry=prepared.box.record(),
        intensity=prepared.picture.intensity,
        endpoint=bench.endpoint,
        attempts=attempts + 1,
        timings_ms=watch.timings,
    )


def failed(planned: PlannedFrame, failure: Failure, attempts: int) -> Outcome:
    return Outcome(
        frame=planned.frame,
        item=planned.item,
        index=planned.index,
        state="failed",
        error=failure,
        attempts=attempts,
    )


async def _judged(bench: Bench, claim: Claim, frame: int) -> tuple[int, str | None]:
    """The attempts held against the frame, and the code it fails with if they are too many.

    A strike counts only if the endpoint answered another input well since; if nobody asked it, the canary does.
    """
    trouble = claim.trouble(frame)
    attempts = trouble.attempts
    if trouble.struck:
        flow = await asyncio.to_thread(bench.flow.look)
        if judge(trouble, flow.last_good_ms) == "ask":
            await bench.scorer.ask_canary(claim.lane)
        attempts = await asyncio.to_thread(bench.claims.charge, claim.token, frame)
        if attempts < 0:
            raise ClaimLost
    return attempts, trouble.code if attempts >= bench.max_attempts else None


async def _prepared(bench: Bench, planned: PlannedFrame) -> Prepared:
    """The source, decoded; raises its ItemError, or DecodeOverran past the limit."""
    if planned.size > bench.max_decode_bytes:
        raise SourceTooLarge(f"the file has {planned.size} bytes, at most {bench.max_decode_bytes} are opened")
    try:
        file = await asyncio.to_thread(bench.storage.get, planned.source)
    except ObjectMissing as error:
        raise SourceMissing from error
    async with bench.decoders:
        decoding = asyncio.get_running_loop().run_in_executor(
            bench.threads, lambda: prepare(file, planned.prompts, max_pixels=bench.max_pixels)
        )
        try:
            async with asyncio.timeout(bench.decode_timeout.total_seconds()):
                return await asyncio.shield(decoding)
        except TimeoutError as error:
            raise DecodeOverran from error


async def _scored(
    bench: Bench, claim: Claim, planned: PlannedFrame, prepared: Prepared, submission: Submission
) -> Scored:
    """The answer; one that breaks the contract is kept as it came before it is reported."""
    try:
        name = f"{claim.job}:{planned.frame}"
        return await bench.scorer.score(prepared.row, claim.lane, name, submission.traceparent)
    except AnswerInvalid as error:
        raw = getattr(error, "raw", None)
        if raw:
            key = keys.rejected_answer(claim.job, planned.item, planned.frame, claim.token[:8])
            await asyncio.to_thread(_store, bench.storage, key, raw)
        raise


async def _in_thread(bench: Bench, call: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(bench.threads, lambda: call(*arguments))


def _store_mask(
    storage: Storage, planned: PlannedFrame, job: str, number: int, drawn: DrawnMask, attempt: str
) -> MaskOutcome:
    mask = probability = None
    if drawn.mask is not None:
        mask = _store(storage, keys.mask(job, planned.item, planned.frame, number, attempt), drawn.mask)
    if drawn.probability is not None:
        key = keys.probability(job, planned.item, planned.frame, number, attempt)
        probability = _store(storage, key, drawn.probability)
    return MaskOutcome(
        **drawn.measures.model_dump(),
        prompt=planned.prompts[number],
        category=drawn.category,
        rle=drawn.rle,
        mask=mask,
        probability=probability,
    )


def _store(storage: Storage, key: str, body: bytes) -> ArtifactRef:
    """Write an artifact under the try's own name; one that is there was written by this very try."""
    try:
        storage.create(key, body, "image/png")
    except ObjectExists:
        storage.put(key, body, "image/png")
    return ArtifactRef(key=key, length=len(body), sha256=hashlib.sha256(body).hexdigest())


def overran(planned: PlannedFrame) -> Outcome:
    """A decode that ran past its limit while the child held nothing else."""
    error = DecodeTimeout()
    return failed(planned, Failure(code=error.code, detail=error.detail), 1)
