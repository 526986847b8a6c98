"""The segment stage in this process, with a real endpoint."""

import time

from tests.support.servers.simulators import RunningSimulator
from worker.context import WorkerContext
from worker.segment.setup import segment_loop


def with_endpoint(context: WorkerContext, endpoint: RunningSimulator) -> WorkerContext:
    """The same context, but its frames are scored by this endpoint."""
    settings = context.settings.model_copy(update={"endpoint_url": endpoint.url, "endpoint_key": endpoint.key})
    return WorkerContext(settings, context.storage, context.ledger)


async def segment_waiting_frames(context: WorkerContext) -> None:
    """Claim, score and settle frames until none is left."""
    loop, reporter = await segment_loop(context, stopping=lambda: False)
    await loop.lend(until=time.monotonic() + 60)
    await loop.drain(until=time.monotonic() + 60, last_score=time.monotonic() + 60)
    loop.close()
    reporter.close()
    for client in loop._context.pool.clients.values():  # a worker's connections end with its process
        await client.aclose()
