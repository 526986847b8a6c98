"""Example of the plan stage: a submitted job becomes frames that can be claimed."""

import time

import httpx

from maskrelay.ledger.claims import Claim
from tests.support.builders.pictures import gradient, saved
from tests.support.builders.zips import a_zip
from tests.support.drivers.api_jobs import accepted
from worker.context import WorkerContext
from worker.context.job_records.plans import read_frame_part
from worker.plan.plan_step import plan_jobs


def test_each_picture_of_an_archive_becomes_a_frame(client: httpx.Client, context: WorkerContext) -> None:
    archive = a_zip(("left.png", saved(gradient(64, 48), "PNG")), ("right.png", saved(gradient(80, 60), "PNG")))
    job = accepted(client, archive, prompts=["optic disc"])

    plan_jobs(context, until=time.monotonic() + 60)

    frames = read_frame_part(context.storage, job, 0)
    assert [(frame.item, frame.prompts) for frame in frames] == [(0, ("optic disc",)), (1, ("optic disc",))]
    assert isinstance(context.ledger.claims.take(0, ["interactive"]), Claim)
