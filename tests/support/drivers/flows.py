"""Endpoints and pools for tests of the flow control. Nothing is sent to them."""

from datetime import timedelta
from typing import Any

from maskrelay.endpoints import Endpoint
from maskrelay.ledger.flow_control import Call, Flow
from tests.support.servers.valkeys import RunningValkey


def an_endpoint(name: str, *, max_in_flight: int = 2, **settings: Any) -> Endpoint:
    """Return an endpoint with such high rates that they are never the limit, unless rates are given."""
    rates = {"max_requests_per_s": 1e6, "max_bytes_per_s": 1e12}
    fields = {"url": "http://localhost/score", "key": "key", **rates, **settings}
    return Endpoint.model_validate({"name": name, "max_in_flight": max_in_flight, **fields})


def pool_of(valkey: RunningValkey, *endpoints: Endpoint, slot_lease: timedelta = timedelta(minutes=2)) -> Flow:
    return valkey.ledger().flow(endpoints, slot_lease=slot_lease)


def calls_of(flow: Flow, child: str) -> list[Call]:
    """Return the calls for the waiters of a child that have not been taken yet, in their order."""
    calls: list[Call] = []
    while call := flow.await_call(child, timedelta(milliseconds=10)):
        calls.append(call)
    return calls
