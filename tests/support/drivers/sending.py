"""The deliver worker's side, with the storage and ledger of a running API."""

import time
from datetime import timedelta

import redis

from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.callbacks.callback_sender import CallbackSender
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.servers.apis import RunningApi
from worker.deliver.event_delivery import deliver_due


def send_all(api: RunningApi) -> None:
    """Make an attempt at every delivery, as if all pauses were over."""
    with redis.Redis.from_url(api.settings.redis_url.get_secret_value()) as client:
        for event in client.zrange("mr:outbox", 0, -1):
            client.zadd("mr:outbox", {event: 1})
    send_due(api)


def send_due(api: RunningApi) -> None:
    sender = CallbackSender(AddressGuard(["127.0.0.1"]), timedelta(seconds=5))
    deliver_due(parts_of(api), sender, time.monotonic() + 30)
