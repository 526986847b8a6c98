"""Example of the finish stage: all outcomes are counted, `result.json` is written, and the job ends."""

import time

import httpx

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Result
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.driven_jobs import by_frame, planned, scored
from tests.support.servers.apis import RunningApi
from worker.context import WorkerContext
from worker.finish.finish_step import finish_jobs


def test_a_job_with_a_failed_item_is_partial(api: RunningApi, client: httpx.Client, context: WorkerContext) -> None:
    job = accepted(client, b"first picture", b"second picture")
    planned(api)
    scored(api, by_frame({1: "truncated"}))

    finish_jobs(context, until=time.monotonic() + 60)

    result = Result.model_validate_json(context.storage.get(keys.result(job)))
    assert (result.state, result.counts.succeeded, result.counts.failed) == ("partial", 1, 1)
    record = context.ledger.jobs.get(job)
    assert record is not None
    assert record.state == "partial"
