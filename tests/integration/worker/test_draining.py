"""A worker that is told to end begins no score that it might not see the end of."""

import asyncio
import time

import pytest

from maskrelay.errors import EndpointBusy
from maskrelay.ledger.flow_control import Admission
from tests.support.drivers.flows import an_endpoint, pool_of
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
