"""The segment loop, which processes a number of frames concurrently until the child process ends.

A Celery task lets the loop claim frames for some seconds. Frames in progress continue between two tasks.
"""

import asyncio
import contextlib
import logging
import math
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

from maskrelay.contract.records.job import PlannedFrame, Submission
from maskrelay.errors import (
    EndpointError,
    LedgerUnavailable,
    StorageUnavailable,
)
from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim
from maskrelay.rules.pace import Pace
from worker.context.job_records.outcome_parts import RecordedPart
from worker.context.lease_renewal import LeaseRenewal
from worker.segment.frame import segment_frame
from worker.segment.frame_claimer import GLANCE, FrameClaimer
from worker.segment.frame_context import ClaimLost, DecodeOverran, FrameContext
from worker.segment.frame_outcomes import overran
from worker.segment.frame_release import FrameRelease, about
from worker.segment.outcome_batches import OutcomeBatcher
from worker.segment.running_loop import BEAT, RunningLoop

log = logging.getLogger(__name__)
#: The seconds for which a task waits for new frames before it ends early. An image that is submitted in this time needs
#: no wake-up.
IDLE = 2.0
#: The largest number of outcomes that may wait to be settled. If there are more, no frames are claimed.
UNSETTLED = 512


class SegmentLoop:
    """A loop that segments frames concurrently in one child process. `stopping` returns whether the worker must end.

    Frames are claimed while fewer than `hands` frames are in progress. With a `pace`, this number is adapted to the
    measured times of the stages, and to the loop's share of the `in_flight` frames that the endpoints can score at the
    same time.
    """

    def __init__(
        self,
        context: FrameContext,
        groups: OutcomeBatcher,
        ledger: Ledger,
        *,
        hands: int,
        in_flight: int,
        renewal_period: timedelta,
        stopping: Callable[[], bool],
        pace: Pace | None = None,
    ) -> None:
        self._context = context
        self._groups = groups
        self._ledger = ledger
        self._running = RunningLoop(ledger.wake_ups, in_flight)
        self._release = FrameRelease(ledger.claims, groups, context.recorder)
        self._hands = hands
        self._in_flight = in_flight
        self._endpoints = [endpoint.name for endpoint in context.pool.endpoints]
        self._claimer = FrameClaimer(ledger, context.admissions, self._endpoints, self._wake)
        self._pace = pace
        self._stopping = stopping
        self._held: dict[tuple[str, int], tuple[Claim, asyncio.Task[None]]] = {}
        self._busy = 0
        self._alone = False
        self._frame_ended = asyncio.Event()
        self._renewal = LeaseRenewal(renewal_period, self._renew)

    def start_renewal(self) -> None:
        """Start the thread that renews the leases of the frames in progress until `close` is called."""
        self._renewal.__enter__()

    def _renew(self) -> None:
        self._ledger.claims.renew(list({token for token, _ in list(self._held)}))

    async def lend(self, until: float) -> None:
        """Claim and segment frames until `until` (monotonic seconds), or until the loop was idle for `IDLE` seconds.

        Frames in progress continue afterwards.
        """
        run_on = self._run_on
        self._claimer.listen()
        await asyncio.to_thread(run_on)
        await asyncio.to_thread(self._running.wake_another, self._hands)
        idle_since, beat = time.monotonic(), time.monotonic() + BEAT.total_seconds()
        while time.monotonic() < until and not self._stopping():
            if time.monotonic() > beat:
                await asyncio.to_thread(run_on)
                beat = time.monotonic() + BEAT.total_seconds()
            if await self._claim_more():
                idle_since = time.monotonic()
            elif not self._held and time.monotonic() - idle_since > IDLE:
                if not await self._work_waits_for_a_gate():
                    break
                idle_since = time.monotonic()
        if not self._held:
            await asyncio.to_thread(self._context.sources.drop_unused)
        await asyncio.to_thread(self._running.pass_on, self._hands)

    def _run_on(self) -> None:
        """Report that this loop is running, and update the number of frames that it keeps in progress."""
        loops = self._running.report()
        if self._pace is not None:
            self._hands = self._pace.hands(math.ceil(self._in_flight / max(1, loops)))

    async def _work_waits_for_a_gate(self) -> bool:
        """Return whether work is waiting only for a gate.

        In this case, `lend` continues. If it returned, another loop would be woken at once, and could do no more.
        """
        closed = await self._context.admissions.closed_for(self._endpoints) > timedelta(0)
        return closed and await asyncio.to_thread(self._running.work) > 0

    def _wake(self) -> None:
        """End the loop's wait, because there may be new frames."""
        self._frame_ended.set()

    async def _claim_more(self) -> bool:
        """Claim frames once if there is capacity and a gate is open, or else wait a moment.

        Return False if no frames were claimed and none are in progress.
        """
        held_back = self._groups.held_back()
        if self._full() or held_back or (held_back is not None and self._held):
            await self._wait_for_frame(GLANCE)
            return True
        if (left := self._claimer.pause(self._busy, self._hands)) > 0:
            await self._wait_for_frame(left)
            return bool(self._held)
        most = self._hands if held_back is None else 1
        claim = await self._claimer.claim(len(self._held), self._busy, self._hands, most)
        if isinstance(claim, Claim):
            self._take_up(claim)
            return True
        if claim is not None:  # a suspect frame waits until no frames are in progress here
            await self._wait_for_all(until=None)
            return True
        self._hurry()
        return bool(self._held)

    def _full(self) -> bool:
        """Return whether nothing more may be claimed.

        This is the case while a suspect frame is processed alone, while enough frames are in progress, and while many
        outcomes are unsettled, because storage or Redis is slow or unavailable.
        """
        unsettled = len(self._held) - self._busy
        return self._alone or self._busy >= self._hands or unsettled >= UNSETTLED

    def _take_up(self, claim: Claim) -> None:
        self._groups.tell_time(claim.now_ms)
        self._alone = claim.alone
        for frame in claim.frames():
            task = asyncio.create_task(self._work(claim, frame))
            self._held[claim.token, frame] = (claim, task)
            self._busy += 1

    async def _work(self, claim: Claim, frame: int) -> None:
        """Process one frame until it is settled or released."""
        try:
            recorded = await self._outcome_of(claim, frame)
            await self._settle(claim, recorded)
        except DecodeOverran:
            await self._leave(claim, frame)
        except ClaimLost:
            log.warning("claim lost", extra=about(claim, frame))
        except asyncio.CancelledError:
            await asyncio.shield(self._release.release_after(claim, frame, timedelta(0)))
            raise
        except (EndpointError, StorageUnavailable, LedgerUnavailable) as error:
            await self._release.release_to_wait(claim, frame, error)
        except Exception:
            log.exception("unexpected error", extra=about(claim, frame))
            await self._release.release_after(claim, frame, timedelta(seconds=30))
        finally:
            self._drop_frame(claim, frame)

    async def _outcome_of(self, claim: Claim, frame: int) -> RecordedPart:
        """Return the frame's outcome.

        Another frame may start as soon as there is an outcome, even if it is not settled yet.
        """
        try:
            planned, submission = await self._planned(claim.job, frame)
            return await segment_frame(self._context, claim, planned, submission)
        finally:
            self._busy -= 1
            self._frame_ended.set()

    async def _planned(self, job: str, frame: int) -> tuple[PlannedFrame, Submission]:
        plans = self._context.plans
        return plans.of(job, frame) if plans.holds(job, frame) else await asyncio.to_thread(plans.of, job, frame)

    def _drop_frame(self, claim: Claim, frame: int) -> None:
        self._held.pop((claim.token, frame), None)
        if not self._held:
            self._alone = False
        self._frame_ended.set()
        self._hurry()

    def _hurry(self) -> None:
        """Write the open groups of outcomes now if all claimed frames wait in them, so no other frame can join them."""
        if self._held and self._groups.waiting() >= len(self._held):
            self._groups.hurry()

    async def _settle(self, claim: Claim, recorded: RecordedPart) -> None:
        settling = asyncio.ensure_future(self._groups.add(claim.job, claim.lane, claim.token, recorded))
        await asyncio.sleep(0)
        self._hurry()
        with self._context.recorder.timed("settle"):
            counts = await settling
        if counts and recorded.outcome.error is not None:
            self._context.recorder.happened("failed", recorded.outcome.error.code)
        if not counts:
            log.warning("outcome refused: the frame already has one", extra=about(claim, recorded.outcome.frame))

    async def _wait_for_frame(self, seconds: float) -> None:
        """Wait at most `seconds` for the end of a frame or for a notification.

        Return at once if a frame has ended or a notification has come since the last wait.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._frame_ended.wait()
        self._frame_ended.clear()

    async def _wait_for_all(self, until: float | None) -> None:
        while self._held and (until is None or time.monotonic() < until):
            self._hurry()
            await self._wait_for_frame(GLANCE)

    async def drain(self, until: float, last_score: float) -> None:
        """Finish frames until `until`, and then release the rest.

        No score starts after `last_score`. Both times are in monotonic seconds.
        """
        self._context.admissions.close(last_score)
        await self._wait_for_all(until)
        await self._drop_all()

    def close(self) -> None:
        """Stop renewing leases and remove the local copies of sources, when the process ends."""
        self._renewal.stop()
        self._context.sources.close()

    async def _drop_all(self, keep: tuple[str, int] | None = None) -> None:
        tasks = [task for held, (_, task) in self._held.items() if held != keep]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _leave(self, claim: Claim, frame: int) -> NoReturn:
        """End the child process after a decode that exceeded its time limit, because its thread cannot be stopped.

        If the frame was alone in the process, it fails. Otherwise it becomes a suspect, which will be claimed alone.
        All other frames in progress are released.
        """
        log.error("decoding took too long", extra={**about(claim, frame), "alone": claim.alone})
        try:
            if claim.alone:
                planned = await asyncio.to_thread(self._context.plans.frame, claim.job, frame)
                await self._settle(claim, RecordedPart(overran(planned)))
            else:
                await self._release.release_after(claim, frame, timedelta(0), suspect=True)
            await self._drop_all(keep=(claim.token, frame))
            await self._release.quietly(self._running.pass_on, self._hands)
            await asyncio.to_thread(self._context.scorer.sent.close)
        finally:
            self.close()
            os._exit(1)
