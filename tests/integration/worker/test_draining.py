"""A worker that is told to end begins no score that it might not see the end of."""

import asyncio
import time

import pytest

from maskrelay.errors import EndpointBusy
from maskrelay.ledger.flow_control import Admission
from maskrelay.rules.endpoint_gate import GOOD
from tests.support.drivers.flows import an_endpoint, pool_of
from tests.support.servers.simulators import eventually
from tests.support.servers.valkeys import RunningValkey
from worker.segment.admission import Admissions, ScoreRequest

ASKED = ScoreRequest("job-a", "interactive", ("one",))


def test_no_score_is_admitted_once_a_worker_ends(valkey: RunningValkey) -> None:
    flow = pool_of(valkey, an_endpoint("one", max_in_flight=1))
    flow.fresh("one")

    async def ask() -> Admission:
        admissions = Admissions(flow)
        admitted = await admissions.next(ASKED, "slot-1", 1, 1)
        waiting = asyncio.create_task(admissions.next(ASKED, "slot-2", 1, 1))  # for the slot that is taken
        admissions.close(time.monotonic())
        with pytest.raises(EndpointBusy) as refused:
            await asyncio.wait_for(waiting, 20)
        assert refused.value.come_back_s == 0
        with pytest.raises(EndpointBusy):
            await admissions.next(ASKED, "slot-3", 1, 1)
        return admitted

    assert asyncio.run(ask()).granted
    assert flow.state("one").in_flight == 1


def test_a_score_that_is_cancelled_leaves_the_queue_and_the_next_takes_its_place(valkey: RunningValkey) -> None:
    flow = pool_of(valkey, an_endpoint("one", max_in_flight=1))
    flow.fresh("one")

    def one_waits() -> bool:
        return valkey.client.hlen("mr:flow:one:requests") == 1

    async def ask() -> str:
        first, second = Admissions(flow), Admissions(flow)
        await first.next(ASKED, "slot-1", 1, 1)
        given_up = asyncio.create_task(first.next(ASKED, "slot-2", 1, 1))
        assert await asyncio.to_thread(eventually, one_waits)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        waiting = asyncio.create_task(second.next(ASKED, "slot-3", 1, 1))
        assert await asyncio.to_thread(eventually, one_waits)
        flow.report("one", "slot-1", GOOD, "frame", 0.5)
        return (await waiting).endpoint

    assert asyncio.run(ask()) == "one"
    assert valkey.client.zrange("mr:flow:one:slots", 0, -1) == [b"slot-3"]
