"""The construction of the segment loop and of everything that it uses, inside the running event loop."""

import asyncio
import contextlib
from collections.abc import Callable

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Lane
from maskrelay.errors import ObjectExists
from maskrelay.ledger.claims import HeldFinish
from maskrelay.scoring.credentials import credential_of
from maskrelay.scoring.endpoint_client import EndpointClient
from maskrelay.scoring.wire_formats import IMAGE2D
from worker.context import WorkerContext
from worker.context.job_records.plans import Plans
from worker.context.slot_inventory import SlotReporter
from worker.segment.admission import Admissions
from worker.segment.byte_budget import ByteBudget
from worker.segment.decoders import Decoders
from worker.segment.egress_audit import EgressAudit
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.event_loop import LoopExecutor
from worker.segment.frame_context import FrameContext
from worker.segment.loop import SegmentLoop
from worker.segment.outcome_batches import BatchLimits, Finisher, OutcomeBatcher
from worker.segment.picture_choice import PictureChoice
from worker.segment.row_batches import RowBatcher
from worker.segment.score_reuse import ScoreReuse
from worker.segment.scorer import Scorer
from worker.segment.source_reuse import SourceReuse
from worker.segment.unscored_frames import UnscoredFrames
from worker.segment.wire_choice import WireChoice

#: The number of threads of a child process that decode, draw and encode. It is the number of cores of a small machine.
PIXEL_THREADS = 2
#: The number of threads of a child process that read sources by reference.
FETCH_THREADS = 16
#: The memory, in bytes, for decoded images that are kept while they are scored.
KEPT_PICTURES = 256 << 20
#: The memory, in bytes, for the encoded canvases of frames whose score failed. A canvas has about 1 MB.
KEPT_CANVASES = 64 << 20


async def segment_loop(
    context: WorkerContext, stopping: Callable[[], bool], finish: Callable[[HeldFinish], None] | None = None
) -> tuple[SegmentLoop, SlotReporter]:
    """Build the segment loop inside the running event loop, to which its clients and events belong.

    `finish` finishes a job of a single frame, as soon as the frame is settled. No thread and no client is created until
    storage and Redis have responded, so nothing has to be closed if they do not respond.
    """
    settings = context.settings
    finisher = None if finish is None else Finisher(finish, settings.step_lease)
    flow = context.flow()
    admissions = Admissions(flow)
    names = [endpoint.name for endpoint in context.endpoints]
    sender = SlotReporter(context.storage, context.ledger.slot_reports, flow, names, admissions.slots)
    await asyncio.to_thread(sender.mark)
    await asyncio.to_thread(_open_flows, context)
    in_flight = await asyncio.to_thread(context.in_flight)
    sender.start()
    pool = _pool(context)
    scorer = Scorer(
        pool,
        flow,
        admissions,
        EgressAudit(context.audit),
        context.recorder,
        context.spans,
        WireChoice(context.ledger.offers),
        PictureChoice(context.ledger.picture_forms),
    )
    lease = settings.slot_lease + settings.bulk_part_wait
    reuse = ScoreReuse(pool, RowBatcher(pool, scorer), context.ledger.score_index, context.storage, lease)
    frame_context = FrameContext(
        storage=context.storage,
        sources=context.sources(),
        claims=context.ledger.claims,
        flow=flow,
        plans=Plans(context.storage),
        pool=pool,
        admissions=admissions,
        scorer=scorer,
        reuse=reuse,
        threads=LoopExecutor(PIXEL_THREADS, "pixels"),
        fetching=LoopExecutor(FETCH_THREADS, "fetching"),
        decoders=Decoders(PIXEL_THREADS),
        files=ByteBudget(settings.hand_bytes),
        decoding=ByteBudget(settings.decode_bytes),
        pictures=ByteBudget(KEPT_PICTURES),
        unscored=UnscoredFrames(KEPT_CANVASES),
        source_reuse=SourceReuse(context.storage),
        decode_timeout=settings.decode_timeout,
        max_pixels=settings.max_pixels,
        max_decode_bytes=settings.max_decode_bytes,
        max_attempts=settings.max_attempts,
        recorder=context.recorder,
        spans=context.spans,
    )
    bounds: dict[Lane, BatchLimits] = {
        "interactive": BatchLimits(settings.part_frames, settings.part_wait.total_seconds()),
        "bulk": BatchLimits(settings.bulk_part_frames, settings.bulk_part_wait.total_seconds()),
    }
    rows = max(endpoint.rows_per_request for endpoint in context.endpoints)
    loop = SegmentLoop(
        frame_context,
        OutcomeBatcher(context.storage, context.ledger, context.recorder, context.spans, bounds, finisher),
        context.ledger,
        hands=max(settings.frames_per_child, 2 * rows),
        in_flight=in_flight * rows,
        pace=frame_context.pace if settings.hands is None else None,
        renewal_period=settings.renewal_period,
        stopping=stopping,
    )
    loop.start_renewal()
    return loop, sender


def _pool(context: WorkerContext) -> EndpointPool:
    clients = {
        endpoint.name: EndpointClient(
            endpoint,
            credential_of(endpoint),
            IMAGE2D,
            timeout=context.settings.score_timeout,
            max_connections=endpoint.max_in_flight + 1,
        )
        for endpoint in context.endpoints
    }
    return EndpointPool(context.endpoints, clients)


def _open_flows(context: WorkerContext) -> None:
    """Announce the endpoints, and start the flow control of new endpoints.

    If Redis has no flow state for an endpoint, the state may have been lost. Then nothing may be sent to the endpoint
    until all child processes have reported their slots, or until a slot lease has passed. There is no such pause if
    storage shows that nothing was ever sent to the endpoint.
    """
    context.ledger.endpoints.announce(context.endpoints)
    flow = context.flow()
    for endpoint in context.endpoints:
        if flow.is_new(endpoint.name):
            with contextlib.suppress(ObjectExists):
                key = keys.endpoint_used(endpoint.name)
                context.storage.create(key, b"a score may have been sent\n", "text/plain")
                flow.fresh(endpoint.name)
