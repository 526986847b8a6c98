"""Segment workers reduced to their Redis traffic, without pixels: many of them in one process."""

import asyncio
import os
import random
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from bench.ledger_rush import MOVED, rush
from maskrelay.contract.records.job import Lane
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.endpoints import Endpoint
from maskrelay.ledger import Ledger, open_ledger
from maskrelay.ledger.claims import Claim
from maskrelay.ledger.flow_control import Flow
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.rules.endpoint_gate import GOOD
from maskrelay.storage.audit_log import AuditLog
from maskrelay.storage.factory import open_storage
from maskrelay.storage.protocol import Storage
from maskrelay.telemetry.spans import Untraced
from worker.context.job_records.outcome_parts import RecordedPart
from worker.context.job_records.plans import Plans
from worker.context.source_cache import SourceCache
from worker.segment.admission import Admissions, ScoreRequest
from worker.segment.byte_budget import ByteBudget
from worker.segment.decoders import Decoders
from worker.segment.egress_audit import EgressAudit
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.frame_context import FrameContext
from worker.segment.loop import SegmentLoop
from worker.segment.outcome_batches import BatchLimits, OutcomeBatcher
from worker.segment.picture_choice import PictureChoice
from worker.segment.row_batches import RowBatcher
from worker.segment.score_reuse import ScoreReuse
from worker.segment.scorer import Scorer
from worker.segment.source_reuse import SourceReuse
from worker.segment.unscored_frames import UnscoredFrames
from worker.segment.wire_choice import WireChoice

HANDS = 8
LEASE = timedelta(seconds=60)
_RENEWAL = timedelta(seconds=15)
_BUDGET_S = 30.0
_BOUNDS: dict[Lane, BatchLimits] = {"interactive": BatchLimits(16, 0.2), "bulk": BatchLimits(64, 2.0)}


@dataclass(frozen=True, slots=True)
class Crew:
    """A number of workers for an endpoint of `slots`, whose scores take about `service_s`.

    They run on `core`, or on any core if it is -1. Without a service time, they are simulated one after another, as
    fast as their commands can be run. Their files are written to `folder`.
    """

    url: str
    folder: Path
    workers: int
    slots: int
    service_s: float
    core: int

    def endpoint(self) -> Endpoint:
        """Return an endpoint that is limited only by its slots. Its rates of requests and bytes are never the limit."""
        limits: dict[str, Any] = {"max_in_flight": self.slots, "max_requests_per_s": 1e6, "max_bytes_per_s": 1e13}
        return Endpoint(url="http://127.0.0.1/score", auth="entra", **limits)

    def start(self) -> BaseProcess:
        """Run the workers as a separate process, until it is ended."""
        process = get_context("spawn").Process(target=_run, args=(self,), daemon=True)
        process.start()
        return process


class CommandsOnly(SegmentLoop):
    """The worker's own loop without the work: frames are admitted, waited for and reported, but not
    read, sent or drawn.
    """

    def score_with(self, context: FrameContext, crew: Crew) -> None:
        self._parts = context
        self._crew = crew

    async def _outcome_of(self, claim: Claim, frame: int) -> RecordedPart:
        try:
            await self._scored(claim, frame)
        finally:
            self._busy -= 1
            self._frame_ended.set()
        timings = {"fetch": 5.0, "decode": 5.0, "prepare": 10.0, "score": 100.0, "restore": 3.0}
        return RecordedPart(Outcome(frame=frame, item=frame, state="succeeded", timings_ms=timings))

    async def _scored(self, claim: Claim, frame: int) -> None:
        bench, name, slot = self._parts, self._crew.endpoint().name, secrets.token_hex(8)
        asked = ScoreRequest(claim.job, claim.lane, (name,))
        await bench.admissions.closed_for(asked.among)
        for stage in ("fetch", "decode", "prepare", "restore", "store"):
            bench.recorder.took(stage, 0.01)
        with bench.recorder.timed("admission"):
            await bench.admissions.next(asked, slot, MOVED.bytes_up, 1)
        with bench.recorder.timed("score"):
            await asyncio.sleep(self._crew.service_s * random.uniform(0.5, 1.5))
        told = (name, slot, GOOD, f"{claim.job}:{frame}", random.random(), MOVED)
        await asyncio.to_thread(bench.flow.report, *told)


def _run(crew: Crew) -> None:
    if crew.core >= 0:
        os.sched_setaffinity(0, {crew.core})
    if not crew.service_s:
        ledger = _ledger(crew)
        rush(ledger, _flow(crew, ledger), crew.endpoint().name, crew.workers)
    asyncio.run(_work(crew, open_storage(crew.folder.as_uri(), None)))


async def _work(crew: Crew, storage: Storage) -> None:
    """Let each worker lend its loop repeatedly, as wake-ups would make it, until the process is ended."""
    threads = ThreadPoolExecutor(crew.workers * HANDS, thread_name_prefix="blocking")
    asyncio.get_running_loop().set_default_executor(threads)
    await asyncio.gather(*(_one(crew, storage) for _ in range(crew.workers)))


async def _one(crew: Crew, storage: Storage) -> None:
    loop = _loop(crew, storage)
    while True:
        await loop.lend(asyncio.get_running_loop().time() + _BUDGET_S * random.uniform(0.5, 1))


def _loop(crew: Crew, storage: Storage) -> CommandsOnly:
    ledger = _ledger(crew)
    noticed = StageRecorder(ledger.metrics.tell)
    bench = _bench(storage, ledger, _flow(crew, ledger), noticed, EndpointPool((crew.endpoint(),), {}))
    loop = CommandsOnly(
        bench,
        OutcomeBatcher(storage, ledger, noticed, bench.spans, _BOUNDS),
        ledger,
        hands=HANDS,
        in_flight=crew.slots,
        renewal_period=_RENEWAL,
        stopping=lambda: False,
    )
    loop.score_with(bench, crew)
    return loop


def _ledger(crew: Crew) -> Ledger:
    return open_ledger(crew.url, _unheard, claim_lease=LEASE, step_lease=LEASE, delivery_lease=LEASE)


def _flow(crew: Crew, ledger: Ledger) -> Flow:
    return ledger.flow([crew.endpoint()], slot_lease=2 * LEASE)


def _bench(storage: Storage, ledger: Ledger, flow: Flow, recorder: StageRecorder, pool: EndpointPool) -> FrameContext:
    admissions, spans = Admissions(flow), Untraced()
    sent = EgressAudit(AuditLog(storage, "worker"))
    choices = WireChoice(ledger.offers), PictureChoice(ledger.picture_forms)
    scorer = Scorer(pool, flow, admissions, sent, recorder, spans, *choices)
    return FrameContext(
        storage=storage,
        sources=SourceCache(storage, max_bytes=1, most_bytes=1),
        claims=ledger.claims,
        flow=flow,
        plans=Plans(storage),
        pool=pool,
        admissions=admissions,
        scorer=scorer,
        reuse=ScoreReuse(pool, RowBatcher(pool, scorer), ledger.score_index, storage, 2 * LEASE),
        threads=ThreadPoolExecutor(1),
        fetching=ThreadPoolExecutor(1),
        decoders=Decoders(1),
        files=ByteBudget(1 << 30),
        decoding=ByteBudget(1 << 30),
        pictures=ByteBudget(1 << 30),
        source_reuse=SourceReuse(storage),
        unscored=UnscoredFrames(0),
        decode_timeout=LEASE,
        max_pixels=1,
        max_decode_bytes=1,
        max_attempts=3,
        recorder=recorder,
        spans=spans,
    )


def _unheard(_task: str) -> None:
    """Ignore a wake-up, because every worker is awake."""
