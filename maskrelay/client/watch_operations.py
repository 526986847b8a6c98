"""What the clients do with watches, written once for both drivers."""

import uuid
from collections.abc import Sequence
from typing import Any

from maskrelay.client.exchange import Exchange, Operation
from maskrelay.client.responses import read_as
from maskrelay.client.service_calls import call, delete, get
from maskrelay.contract.views.watch_views import WatchList, WatchShown


def added_watch(source: str, prompts: Sequence[str], more: dict[str, Any]) -> Operation[WatchShown]:
    """Return the new watch. `more` are other members of the request; those that are None are left out."""
    body = {"source": source, "prompts": list(prompts)}
    body |= {name: value for name, value in more.items() if value is not None}
    # The request is repeated if its answer is lost. A second watch would make a second job of each folder.
    headers = {"Idempotency-Key": f'"{uuid.uuid4().hex}"'}
    return read_as(WatchShown, (yield from call(Exchange("POST", "/v1/watches", headers=headers, json=body))))


def watches_shown() -> Operation[list[WatchShown]]:
    return read_as(WatchList, (yield from call(get("/v1/watches")))).watches


def removed_watch(watch_id: str) -> Operation[None]:
    yield from delete(f"/v1/watches/{watch_id}")
