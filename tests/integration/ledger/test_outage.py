"""Redis away, back, restarted, restored."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from maskrelay.errors import LedgerUnavailable
from tests.support.drivers.flows import an_endpoint, pool_of
from tests.support.drivers.ledger_jobs import (
    accepted_job,
    claimed,
    frames_of,
    running_job,
    settle,
    state_of,
)
from tests.support.servers.valkeys import RunningValkey, running_valkey


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[RunningValkey]:
    with running_valkey(persist=True, data_dir=tmp_path) as running:
        yield running


def test_redis_away_is_one_error_at_once_and_its_return_needs_no_new_ledger(durable: RunningValkey) -> None:
    ledger = durable.ledger()
    accepted_job(ledger, "job-a")
    durable.kill()
    with pytest.raises(LedgerUnavailable):
        ledger.jobs.get("job-a")
    with pytest.raises(LedgerUnavailable):
        ledger.sweep_state.lock(timedelta(seconds=1))
    durable.start()
    assert state_of(ledger, "job-a") == "accepted"


def test_what_was_settled_survives_a_kill(durable: RunningValkey) -> None:
    ledger = durable.ledger()
    running_job(ledger, "job-a", 3)
    held = claimed(ledger)
    settle(ledger, claimed(ledger), 1)
    durable.restart()
    assert (frames_of(ledger, "job-a").succeeded, frames_of(ledger, "job-a").leased) == (1, 1)
    assert settle(ledger, held, 2) == {0}
    assert claimed(ledger).first == 2


def test_after_a_restart_leases_get_one_more_and_storage_is_compared(durable: RunningValkey) -> None:
    ledger = durable.ledger()
    running_job(ledger, "job-a", 1)
    claim = claimed(ledger)
    token = ledger.sweep_state.begin_reconciling(timedelta(minutes=10))
    assert token is not None
    ledger.claims.lapse()
    durable.client.zadd("mr:leases", {claim.token: 1})
    durable.restart()
    assert ledger.claims.lapse() == (0, [])
    assert not ledger.sweep_state.end_reconciling(token)
    assert ledger.sweep_state.begin_reconciling(timedelta(minutes=10)) is not None


def test_after_a_restart_nothing_is_admitted_for_one_slot_lease(durable: RunningValkey) -> None:
    flow = pool_of(durable, an_endpoint("e", max_in_flight=2), slot_lease=timedelta(seconds=60))
    asked = {"among": ["e"], "bytes_up": 0, "prompts": 0, "child": "child"}
    assert flow.fresh("e")
    assert flow.admit("bulk", "waiter", "slot-1", **asked).granted
    durable.restart()
    admission = flow.admit("bulk", "waiter", "slot-2", **asked)
    assert (admission.granted, admission.why) == (False, "frozen")
    assert timedelta(seconds=55) < admission.wait <= timedelta(seconds=60)
    assert not flow.fresh("e")
    assert flow.state("e").gate == "frozen"
