"""Groups of outcomes that share one object in storage."""

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from maskrelay.contract.records.job import Lane
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.errors import LedgerUnavailable, MaskrelayError, StorageUnavailable
from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import HeldFinish, Settled
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.rules.retry import backoff
from maskrelay.rules.timings import Cause, Spent
from maskrelay.storage.protocol import Storage
from maskrelay.telemetry.spans import Spans
from worker.context.job_records.outcome_parts import (
    Held,
    RecordedPart,
    is_only_frame,
    part_name,
    settle_part,
    store_part,
)
from worker.segment.score_reuse import mark_of
from worker.segment.source_reuse import point_to

log = logging.getLogger(__name__)
#: The number of attempts to write and settle a part while storage or Redis is unavailable. After these attempts, the
#: frames of the part are released.
TRIES = 6
#: The longest pause in scoring while outcomes cannot be written. After a pause, one frame is scored as a trial.
LONGEST_PAUSE = timedelta(seconds=30)
#: The largest number of parts under one worker name. After this number, a new worker name is chosen, because the
#: numbers in part names have a fixed width.
PARTS_MOST = 999_999
#: The size, in bytes, of a group's files at which the group is written, even if it could wait longer.
PACK_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Finisher:
    """A function that finishes jobs of a single frame in this process, and the lease of its finish steps."""

    finish: Callable[[HeldFinish], None]
    lease: timedelta


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The limits of a group.

    A group is written when it has `most` outcomes, or after `wait` seconds. A crash therefore loses little work.
    """

    most: int
    wait: float


@dataclass(slots=True)
class OutcomeBatch:
    """Outcomes of one job that will share a part. The task `settling` returns the frames that were accepted."""

    bounds: BatchLimits
    held: list[Held] = field(default_factory=list)
    size: int = 0
    full: asyncio.Event = field(default_factory=asyncio.Event)
    settling: asyncio.Task[set[int]] | None = None

    def add(self, token: str, recorded: RecordedPart) -> bool:
        """Add an outcome. Return whether the group is now full."""
        self.held.append((token, recorded))
        self.size += recorded.size()
        return len(self.held) >= self.bounds.most or self.size >= PACK_BYTES


class OutcomeBatcher:
    """The open groups of one child process. They are written when they reach a limit, or when `hurry` is called."""

    def __init__(
        self,
        storage: Storage,
        ledger: Ledger,
        recorder: StageRecorder,
        spans: Spans,
        bounds: Mapping[Lane, BatchLimits],
        finisher: Finisher | None = None,
    ) -> None:
        self._storage = storage
        self._ledger = ledger
        self._recorder = recorder
        self._spans = spans
        self._bounds = bounds
        self._finisher = finisher
        self._open: dict[str, OutcomeBatch] = {}
        self._worker = secrets.token_hex(4)
        self._written = 0
        self._failures = 0
        self._resumes = 0.0
        self._ahead = 0.0
        self._waits: dict[str, Spent] = {}

    def add_wait(self, job: str, cause: Cause, seconds: float) -> None:
        """Record how long a frame of the job must wait. This is reported with the job's next part."""
        self._waits.setdefault(job, Spent()).add(cause, seconds)

    def tell_time(self, now_ms: int) -> None:
        """Set the current time of Redis's clock. The name of a part contains this time."""
        self._ahead = now_ms / 1000 - time.monotonic()

    async def add(self, job: str, lane: Lane, token: str, recorded: RecordedPart) -> bool:
        """Wait until the outcome is settled. Return whether it was accepted.

        Raises StorageUnavailable or LedgerUnavailable.
        """
        group = self._open.setdefault(job, OutcomeBatch(self._bounds[lane]))
        full = group.add(token, recorded)
        if group.settling is None:
            group.settling = asyncio.create_task(self._settle(job, group))
        if full:
            group.full.set()
            del self._open[job]
        return recorded.outcome.frame in await asyncio.shield(group.settling)

    def waiting(self) -> int:
        """Return how many outcomes wait in open groups."""
        return sum(len(group.held) for group in self._open.values())

    def held_back(self) -> float | None:
        """Return the remaining seconds of the pause in scoring, or None if outcomes can be written.

        Scoring pauses when outcomes could not be written. 0 means that the pause is over. Then one frame at a time is
        scored, to find out whether outcomes can be written again.
        """
        return max(0.0, self._resumes - time.monotonic()) if self._failures else None

    def hurry(self) -> None:
        """Write the open groups now, because no frame in progress could join them."""
        for group in self._open.values():
            group.full.set()

    async def _settle(self, job: str, group: OutcomeBatch) -> set[int]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(group.bounds.wait):
                await group.full.wait()
        if self._open.get(job) is group:
            del self._open[job]
        try:
            settled = await self._insist(job, self._next_name(), group.held)
        except Exception as error:
            self._hold_back(job, error)
            await asyncio.to_thread(self._give_up_scores, group.held)
            raise
        self._failures = 0
        return settled

    def _next_name(self) -> str:
        if self._written >= PARTS_MOST:
            self._worker, self._written = secrets.token_hex(4), 0
        self._written += 1
        return part_name((time.monotonic() + self._ahead) * 1000, self._worker, self._written)

    def _hold_back(self, job: str, error: Exception) -> None:
        """Pause scoring after outcomes could not be written.

        These outcomes are lost, and those of further scores would be lost too.
        """
        if self.held_back() in {None, 0.0}:
            self._failures += 1
            pause = min(LONGEST_PAUSE, backoff(self._failures, random.random()))
            self._resumes = time.monotonic() + pause.total_seconds()
        code = error.code if isinstance(error, MaskrelayError) else MaskrelayError.code
        self._recorder.happened("unwritten", code)
        log.error("outcomes cannot be written", extra={"job_id": job, "code": code})

    async def _insist(self, job: str, part: str, held: list[Held]) -> set[int]:
        for attempt in range(1, TRIES):
            try:
                return await asyncio.to_thread(self._traced, job, part, held)
            except (StorageUnavailable, LedgerUnavailable):
                await asyncio.sleep(backoff(attempt, random.random()).total_seconds() / 4)
        return await asyncio.to_thread(self._traced, job, part, held)

    def _traced(self, job: str, part: str, held: list[Held]) -> set[int]:
        """Write the part in a span that continues the trace of the first frame.

        The traces of the other frames are linked.
        """
        first, *others = [recorded.traceparent for _, recorded in held]
        linked = [traceparent for traceparent in others if traceparent is not None]
        with self._spans.span("settle", first, links=linked, job_id=job, frames=len(held)):
            return self._write(job, part, held)

    def _write(self, job: str, part: str, held: list[Held]) -> set[int]:
        """Write and settle a part. If it contains the only frame of its job, also finish the job.

        If no job is finished here, wake another process if there are jobs that can be finished.
        """
        began = time.perf_counter()
        with self._recorder.timed("store"):
            outcomes = store_part(self._storage, job, part, held)
        stored = time.perf_counter() - began
        spent = Spent.of(recorded.outcome.timings_ms for _, recorded in held)
        spent.add("storage", stored * len(held))
        spent.take(self._waits.pop(job, Spent()))
        settled = self._settled(job, part, held, spent.milliseconds())
        self._offer(job, held, outcomes, settled.accepted)
        if settled.finish is not None and self._finisher is not None:
            self._finisher.finish(settled.finish)
            return settled.accepted
        if is_only_frame(held):
            self._storage.flush()
        with contextlib.suppress(LedgerUnavailable):
            wakes = self._ledger.wake_ups
            wakes.wake("finish", min(1, wakes.work("finish")))
        return settled.accepted

    def _offer(self, job: str, held: Sequence[Held], outcomes: Sequence[Outcome], accepted: set[int]) -> None:
        """Let later frames use the accepted outcomes. The files of the others will be removed."""
        self._keep_scores([outcome for outcome in outcomes if outcome.frame in accepted])
        self._give_up_scores([entry for entry in held if entry[1].outcome.frame not in accepted])
        with contextlib.suppress(StorageUnavailable):
            point_to(self._storage, job, [each for _, each in held if each.outcome.frame in accepted])

    def _keep_scores(self, outcomes: Sequence[Outcome]) -> None:
        """Let later frames use the answers that these outcomes keep."""
        answers = [(bytes.fromhex(score.digest), score.answer) for outcome in outcomes for score in outcome.scores]
        if answers:
            with contextlib.suppress(LedgerUnavailable):
                self._ledger.score_index.keep(answers)

    def _give_up_scores(self, held: Sequence[Held]) -> None:
        """Let other frames score what these frames have scored, because their outcomes are lost or refused."""
        for token, recorded in held:
            for score in recorded.outcome.scores:
                mark = mark_of(token, recorded.outcome.frame)
                self._ledger.score_index.give_up(bytes.fromhex(score.digest), mark)

    def _settled(self, job: str, part: str, held: list[Held], spent: Mapping[str, int]) -> Settled:
        """Settle a part. If its job has a single frame, also take the finish step of the job.

        The token of the claim is also the token of the step, so a repeated call takes the same step.
        """
        token, lease = ("", timedelta(0)) if self._finisher is None else (held[0][0], self._finisher.lease)
        return settle_part(self._storage, self._ledger.claims, job, part, held, spent, token, lease)
