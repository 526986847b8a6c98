"""Whose turn it is to have a job planned or finished: counted in the time that a tenant's steps take."""

from datetime import timedelta

import pytest

from maskrelay.ledger import Ledger
from maskrelay.ledger.step_leases import Kind
from tests.support.drivers.ledger_jobs import (
    accepted_job,
    conclude,
    finishing_job,
    keys_of,
    leased_step,
)
from tests.support.servers.valkeys import RunningValkey

KINDS: list[Kind] = ["plan", "finish"]


def waiting(ledger: Ledger, kind: Kind, *jobs: str) -> None:
    """Jobs called `tenant-number` whose step of this kind is due."""
    for job in jobs:
        tenant = job.partition("-")[0]
        if kind == "plan":
            accepted_job(ledger, job, tenant=tenant)
        else:
            finishing_job(ledger, job, 1, tenant=tenant)


def pass_time(valkey: RunningValkey, milliseconds: int = 5) -> None:
    """Wait until Redis' clock has moved on."""
    began = valkey.client.time()
    while (valkey.client.time()[0] - began[0]) * 10**6 + valkey.client.time()[1] - began[1] < milliseconds * 1000:
        pass


def worked(valkey: RunningValkey, ledger: Ledger, kind: Kind) -> str:
    """Take a step, work on it for a while, and end it; the job."""
    lease = leased_step(ledger, kind)
    pass_time(valkey)
    assert ledger.step_leases.renew(lease)
    pass_time(valkey)
    assert conclude(ledger, lease.job, tenant=lease.job.partition("-")[0])
    return lease.job


@pytest.mark.parametrize("kind", KINDS)
def test_a_tenants_backlog_does_not_stand_before_anothers_only_job(
    valkey: RunningValkey, ledger: Ledger, kind: Kind
) -> None:
    waiting(ledger, kind, *(f"many-{number}" for number in range(6)))
    assert worked(valkey, ledger, kind) == "many-0"
    held = leased_step(ledger, kind)
    waiting(ledger, kind, "one-0")
    pass_time(valkey)
    assert ledger.step_leases.hand_back(held)
    assert [worked(valkey, ledger, kind) for _ in range(3)] == ["one-0", "many-2", "many-3"]


@pytest.mark.parametrize("kind", KINDS)
def test_tenants_with_backlogs_take_turns_by_time(valkey: RunningValkey, ledger: Ledger, kind: Kind) -> None:
    waiting(ledger, kind, *(f"slow-{number}" for number in range(4)))
    waiting(ledger, kind, *(f"quick-{number}" for number in range(4)))
    slow = leased_step(ledger, kind)
    pass_time(valkey, 40)
    assert ledger.step_leases.hand_back(slow, timedelta(minutes=1))
    order = []
    for _ in range(4):
        quick = leased_step(ledger, kind).job
        order.append(quick)
        assert conclude(ledger, quick, tenant=quick.partition("-")[0])
    other = "quick" if slow.job.startswith("slow") else "slow"
    assert order == [f"{other}-{number}" for number in range(4)]


def test_a_planner_that_died_is_charged_for_the_time_it_held_the_step(valkey: RunningValkey, ledger: Ledger) -> None:
    waiting(ledger, "plan", "many-0", "many-1")
    dead = leased_step(ledger, "plan").job
    waiting(ledger, "plan", "one-0", "one-1")
    valkey.client.hincrby(f"mr:job:{dead}", "plan_since", -20_000)
    valkey.client.zadd("mr:step:plan", {dead: 1})
    assert leased_step(ledger, "plan").job == "one-0"
    assert leased_step(ledger, "plan").job in {"one-1", dead}
    assert leased_step(ledger, "plan").job in {"one-1", dead}
    place = valkey.client.zscore("mr:steps:plan", "many")
    assert place >= 20_000


def test_a_step_that_only_the_queue_knows_is_taken(valkey: RunningValkey, ledger: Ledger) -> None:
    """As an earlier release, which knows no turns, leaves it."""
    waiting(ledger, "plan", "north-0", "south-0")
    for key in keys_of(valkey, "mr:steps:*"):
        valkey.client.delete(key)
    assert {leased_step(ledger, "plan").job for _ in range(2)} == {"north-0", "south-0"}
    assert ledger.step_leases.take("plan") is None


def test_a_tenant_whose_steps_wait_for_later_holds_nobody_up(valkey: RunningValkey, ledger: Ledger) -> None:
    for number in range(150):
        waiting(ledger, "plan", f"t{number}-0")
        assert ledger.step_leases.put_off(leased_step(ledger, "plan"), timedelta(minutes=5))
    waiting(ledger, "plan", "one-0")
    assert leased_step(ledger, "plan").job == "one-0"


def test_nothing_of_the_turns_stays_when_every_job_has_ended(valkey: RunningValkey, ledger: Ledger) -> None:
    waiting(ledger, "plan", "north-0", "south-0", "south-1")
    while ledger.step_leases.take("plan") is not None:
        pass
    for job in ("north-0", "south-0", "south-1"):
        assert conclude(ledger, job, tenant=job.partition("-")[0])
    assert keys_of(valkey, "mr:steps:*:*") == set()
