"""Frames of one item keep to one version of the model, over a real ledger."""

import asyncio
from datetime import timedelta

from maskrelay.endpoints import Endpoint
from tests.support.drivers.ledger_jobs import running_job
from tests.support.servers.valkeys import RunningValkey
from worker.segment.admission import Admissions
from worker.segment.endpoint_pool import EndpointPool, of_one_version

POOL = tuple(
    Endpoint(name=name, url="http://127.0.0.1:9/score", key="k", max_in_flight=4, model_version=version, weight=weight)
    for name, version, weight in (("old-a", "1", 1), ("old-b", "1", 1), ("new", "2", 2))
)
NAMES = tuple(one.name for one in POOL)


def drawn(
    valkey: RunningValkey, items: list[int], *, among: tuple[str, ...] = NAMES, pool: EndpointPool | None = None
) -> list[tuple[str, ...]]:
    ledger = valkey.ledger()
    flow = ledger.flow(POOL, slot_lease=timedelta(minutes=1))
    for endpoint in POOL:
        flow.fresh(endpoint.name)

    async def ask() -> list[tuple[str, ...]]:
        admissions, of = Admissions(flow), pool or EndpointPool(POOL, {})
        return [await of_one_version(of, admissions, ledger.claims, "job-a", item, among) for item in items]

    return asyncio.run(ask())


def test_every_frame_of_an_item_gets_the_same_endpoints_and_items_are_spread_by_weight(valkey: RunningValkey) -> None:
    running_job(valkey.ledger(), "job-a", 1)
    first = drawn(valkey, list(range(60)))
    assert drawn(valkey, list(range(60))) == first
    assert set(first) == {("old-a", "old-b"), ("new",)}


def test_a_version_that_is_gone_leaves_the_item_to_the_others(valkey: RunningValkey) -> None:
    running_job(valkey.ledger(), "job-a", 1)
    [chosen] = drawn(valkey, [7])
    rest = tuple(one for one in POOL if one.name not in chosen)
    names = tuple(one.name for one in rest)
    third = Endpoint(name="third", url="http://127.0.0.1:9/score", key="k", max_in_flight=4, model_version="3")
    others = EndpointPool((*rest, third), {})
    assert drawn(valkey, [7], among=(*names, "third"), pool=others) == [(*names, "third")]


def test_a_pool_of_one_version_asks_nobody(valkey: RunningValkey) -> None:
    assert drawn(valkey, [1, 2], among=("old-a", "old-b")) == [("old-a", "old-b")] * 2
    assert valkey.client.keys("*versions") == []
