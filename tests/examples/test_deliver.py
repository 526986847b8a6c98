"""Example of the deliver stage: the end of a job is sent to its callback, signed."""

import json
import time
from datetime import timedelta

import httpx

from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.callbacks.callback_sender import CallbackSender
from maskrelay.callbacks.signature import verify
from tests.support.drivers.api_jobs import submit
from tests.support.drivers.driven_jobs import driven
from tests.support.servers.apis import RunningApi
from tests.support.servers.receivers import receiver, status
from worker.context import WorkerContext
from worker.deliver.event_delivery import deliver_due


def test_the_receiver_learns_of_the_end_of_the_job(
    api: RunningApi, client: httpx.Client, context: WorkerContext
) -> None:
    sender = CallbackSender(AddressGuard(["127.0.0.1"]), timeout=timedelta(seconds=5))
    with receiver(status(204)) as hook:
        job = submit(client, b"picture", options={"callback": {"url": hook.url()}}).json()
        driven(api, job["id"])

        deliver_due(context, sender, until=time.monotonic() + 30)

    [callback] = hook.received
    verify(job["callback"]["secret"], callback.headers, callback.body, int(time.time()))
    event = json.loads(callback.body)
    assert (event["type"], event["data"]["id"]) == ("job.succeeded", job["id"])
