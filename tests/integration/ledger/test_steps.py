"""Planning and finishing: one worker at a time, and nothing from one whose lease lapsed."""

from datetime import timedelta

from maskrelay.ledger import Ledger
from maskrelay.ledger.step_leases import StepLease
from tests.support.drivers.ledger_jobs import (
    CREATED,
    accepted_job,
    claimed,
    conclude,
    finishing_job,
    frames_of,
    running_job,
    settle,
    state_of,
)
from tests.support.servers.valkeys import RunningValkey


def planning(ledger: Ledger, job: str = "job-a") -> StepLease:
    """The lease of whoever plans the job now."""
    lease = ledger.step_leases.take("plan")
    assert lease is not None
    assert lease.job == job
    return lease


def extend(ledger: Ledger, lease: StepLease, part: int, *, first: int = 0, n: int = 1, last: bool = True) -> bool:
    return ledger.step_leases.extend(
        lease, part, first=first, n=n, spans=[], last=last, lane="interactive", items=first + n
    )


def lapse_step(valkey: RunningValkey, kind: str) -> None:
    valkey.client.zadd(f"mr:step:{kind}", {"job-a": 1}, xx=True)


def test_a_step_is_one_workers(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a")
    lease = planning(ledger)
    assert ledger.step_leases.take("plan") is None
    assert ledger.wake_ups.work("plan") == 0
    assert ledger.step_leases.renew(lease)
    assert ledger.step_leases.hand_back(lease)
    assert planning(ledger).token != lease.token


def test_a_step_handed_back_for_later_is_not_taken_before(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a")
    assert ledger.step_leases.hand_back(planning(ledger), timedelta(minutes=1))
    assert ledger.step_leases.take("plan") is None


def test_nothing_is_taken_from_a_planner_whose_lease_lapsed(valkey: RunningValkey, ledger: Ledger) -> None:
    accepted_job(ledger, "job-a")
    stale = planning(ledger)
    lapse_step(valkey, "plan")
    lease = planning(ledger)
    assert not extend(ledger, stale, 0)
    assert not ledger.step_leases.renew(stale)
    assert not ledger.step_leases.hand_back(stale)
    assert frames_of(ledger, "job-a").planned == 0
    assert extend(ledger, lease, 0)
    assert frames_of(ledger, "job-a").planned == 1


def test_only_the_next_part_extends(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a", total=5)
    lease = planning(ledger)
    assert not extend(ledger, lease, 1, last=False)
    assert extend(ledger, lease, 0, n=2, last=False)
    assert not extend(ledger, lease, 0, n=2, last=False)
    assert not extend(ledger, lease, 1, first=3, last=False)
    assert extend(ledger, lease, 1, first=2, n=3)
    record = ledger.jobs.get("job-a")
    assert record is not None
    assert (record.frame_parts, record.frames.planned, record.planned, record.state) == (2, 5, True, "running")


def test_the_last_part_ends_planning(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a")
    lease = planning(ledger)
    assert extend(ledger, lease, 0)
    assert ledger.step_leases.take("plan") is None
    assert not extend(ledger, lease, 1, first=1)
    assert not ledger.step_leases.renew(lease)


def test_a_job_without_a_frame_is_finished_next(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a")
    assert extend(ledger, planning(ledger), 0, n=0)
    assert state_of(ledger, "job-a") == "finishing"


def test_a_cancelled_job_is_not_extended(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a")
    lease = planning(ledger)
    ledger.jobs.cancel("job-a", "asked")
    assert not extend(ledger, lease, 0)
    assert state_of(ledger, "job-a") == "finishing"


def test_planning_may_move_a_job_to_bulk(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a", total=2)
    lease = planning(ledger)
    assert extend(ledger, lease, 0, last=False)
    assert ledger.step_leases.extend(lease, 1, first=1, n=1, spans=[], last=True, lane="bulk", items=2)
    assert ledger.claims.take(0, ["interactive"]) is None
    assert [claimed(ledger, lanes=["bulk"]).lane for _ in range(2)] == ["bulk", "bulk"]


def test_a_frame_without_a_line_anywhere_waits_again(ledger: Ledger) -> None:
    finishing_job(ledger, "job-a", 4)
    lease = ledger.step_leases.take("finish")
    assert lease is not None
    assert ledger.step_leases.reopen(lease, [3, 1])
    assert state_of(ledger, "job-a") == "running"
    assert ledger.wake_ups.work("finish") == 0
    claims = [claimed(ledger), claimed(ledger)]
    assert [claim.first for claim in claims] == [1, 3]
    assert ledger.claims.take(0, ["interactive"]) is None
    assert [settle(ledger, claim, 10 + claim.first) for claim in claims] == [{1}, {3}]
    assert state_of(ledger, "job-a") == "finishing"
    assert not ledger.step_leases.renew(lease)


def test_only_who_finishes_a_job_reopens_it(valkey: RunningValkey, ledger: Ledger) -> None:
    finishing_job(ledger, "job-a", 1)
    stale = ledger.step_leases.take("finish")
    assert stale is not None
    lapse_step(valkey, "finish")
    assert ledger.step_leases.take("finish") is not None
    assert not ledger.step_leases.reopen(stale, [0])
    assert state_of(ledger, "job-a") == "finishing"


def test_a_cancelled_job_is_not_reopened(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 2)
    settle(ledger, claimed(ledger), 1)
    ledger.jobs.cancel("job-a", "asked")
    lease = ledger.step_leases.take("finish")
    assert lease is not None
    assert not ledger.step_leases.reopen(lease, [0])
    assert state_of(ledger, "job-a") == "finishing"


def test_reopening_many_frames_costs_no_memory_each(valkey: RunningValkey, ledger: Ledger) -> None:
    accepted_job(ledger, "job-a", total=50_000)
    assert extend(ledger, planning(ledger), 0, n=50_000)
    ledger.claims.adopt("job-a", "1700000000000000-0a1b2c3d-000001", [(frame, False, True) for frame in range(50_000)])
    lease = ledger.step_leases.take("finish")
    assert lease is not None
    assert ledger.step_leases.reopen(lease, list(range(50_000)))
    assert not valkey.client.exists("mr:job:job-a:due")
    assert claimed(ledger).first == 0
    assert frames_of(ledger, "job-a").waiting == 49_999


def test_a_concluded_job_has_no_step(valkey: RunningValkey, ledger: Ledger) -> None:
    finishing_job(ledger, "job-a", 1)
    lease = ledger.step_leases.take("finish")
    assert lease is not None
    conclude(ledger, "job-a")
    assert not ledger.step_leases.renew(lease)
    lapse_step(valkey, "finish")
    assert ledger.step_leases.take("finish") is None


def test_the_step_of_a_retired_job_keeps_nobody_from_theirs(valkey: RunningValkey, ledger: Ledger) -> None:
    """A step is left behind where the record of its job was deleted, and its tenant is served first."""
    for job, tenant in (("gone", "south"), ("there", "north")):
        assert ledger.jobs.create(job, tenant, "bulk", 1, CREATED)
    valkey.client.zadd("mr:step:plan", {"there": 1, "gone": 2})
    valkey.client.zadd("mr:steps:plan:south", {"gone": 2})
    valkey.client.zadd("mr:steps:plan:north", {"there": 1})
    valkey.client.zadd("mr:steps:plan", {"south": 0, "north": 1})
    valkey.client.delete("mr:job:gone")
    taken = ledger.step_leases.take("plan")
    assert taken is not None
    assert taken.job == "there"
    assert ledger.step_leases.take("plan") is None
    assert valkey.client.zscore("mr:step:plan", "gone") is None
