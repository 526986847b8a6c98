"""A frame whose score fails is tried again, and its source is not read again for it."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.integration.worker.by_reference.source_jobs import PROMPT, finish, outcomes, picture, put, submitted
from tests.support.drivers.segmenting import segment_waiting_frames
from tests.support.servers.simulators import RunningSimulator, eventually
from worker.context import WorkerContext
from worker.plan.plan_step import plan_jobs


def test_a_source_that_is_gone_after_the_first_attempt_is_not_missed(
    worker: WorkerContext, endpoint: RunningSimulator, north: httpx.Client, data: Path
) -> None:
    job = submitted(north, put(data, "a.png", picture()), options={"outputs": ["mask"]})
    plan_jobs(worker, time.monotonic() + 60)
    endpoint.set(fail={"status": 503, "when_prompt": PROMPT})
    try:
        refused = endpoint.counters()["answers"].get("503", 0)
        with ThreadPoolExecutor(1) as pool:
            segmented = pool.submit(lambda: asyncio.run(segment_waiting_frames(worker)))
            assert eventually(lambda: endpoint.counters()["answers"].get("503", 0) > refused)
            (data / "a.png").unlink()
            endpoint.set(fail=None)
            segmented.result()
    finally:
        endpoint.set(fail=None)
    finish(worker)
    assert outcomes(north, job) == {"0": "succeeded"}
