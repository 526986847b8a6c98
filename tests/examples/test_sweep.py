"""Example of the sweep: the frames of a worker that died can be claimed again."""

import httpx

from maskrelay.ledger.claims import Claim
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.driven_jobs import planned
from tests.support.servers.apis import RunningApi
from tests.support.servers.valkeys import RunningValkey
from worker.context import WorkerContext
from worker.context.job_records.plans import Plans
from worker.sweep.sweep_pass import sweep


def test_a_lapsed_claim_is_taken_back(
    api: RunningApi, client: httpx.Client, context: WorkerContext, valkey: RunningValkey
) -> None:
    accepted(client, b"picture")
    planned(api)
    plans = Plans(context.storage)
    sweep(context, plans, compare_every=None)  # the first pass gives every lease its full time
    claim = context.ledger.claims.take(0, ["interactive"])
    assert isinstance(claim, Claim)
    valkey.client.zadd("mr:leases", {claim.token: 1})  # the lease of a worker that was not heard of since 1970

    found = sweep(context, plans, compare_every=None)

    assert found["leases of lost workers released"] == 1
    assert isinstance(context.ledger.claims.take(0, ["interactive"]), Claim)
