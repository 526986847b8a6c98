"""The deliver worker's side over a running API's own storage and ledger."""

import time
from datetime import timedelta

from maskrelay.notify.callback import CallbackSender
from maskrelay.notify.guard import AddressGuard
from tests.apis import RunningApi
from tests.clearing import parts_of
from worker.deliver import deliver_due


def send_due(api: RunningApi) -> None:
    sender = CallbackSender(AddressGuard(["127.0.0.1"]), timedelta(seconds=5))
    deliver_due(parts_of(api), sender, time.monotonic() + 30)
