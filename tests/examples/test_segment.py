"""Example of the segment stage: a claimed frame is scored by the endpoint, and its outcome is settled."""

import asyncio
import time

import httpx

from maskrelay.contract.records import keys
from maskrelay.contract.records.outcomes import Outcome
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.segmenting import segment_waiting_frames, with_endpoint
from tests.support.servers.simulators import RunningSimulator
from worker.context import WorkerContext
from worker.plan.plan_step import plan_jobs


def test_a_frame_gets_a_mask_for_each_prompt(
    client: httpx.Client, context: WorkerContext, endpoint: RunningSimulator
) -> None:
    job = accepted(client, saved(gradient(64, 48), "PNG"), prompts=["optic disc", "optic cup"])
    plan_jobs(context, until=time.monotonic() + 60)

    asyncio.run(segment_waiting_frames(with_endpoint(context, endpoint)))

    [part] = context.storage.list(keys.outcomes(job))
    outcome = Outcome.model_validate_json(context.storage.get(part))
    assert (outcome.state, [mask.prompt for mask in outcome.masks]) == ("succeeded", ["optic disc", "optic cup"])
    record = context.ledger.jobs.get(job)
    assert record is not None
    assert (record.state, record.frames.succeeded) == ("finishing", 1)
