"""Redis' clock goes back an hour: every moment that is written lies an hour ahead, and nothing waits for it."""

from datetime import timedelta

import pytest

from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim, SuspectWaits
from maskrelay.rules.endpoint_gate import Report
from tests.support.drivers.flows import an_endpoint, pool_of
from tests.support.drivers.ledger_jobs import (
    claimed,
    finishing_job,
    frames_of,
    running_job,
    settle,
)
from tests.support.servers.valkeys import RunningValkey

HOUR_MS = 3_600_000
LEASE = timedelta(minutes=2)
#: Fields of hashes that hold moments.
MOMENTS = {"served", "last", "reconciled", "frozen", "closed_until", "good", "next_at", "bytes_at", "full_at"}
MOMENTS |= {"slowed_at", "cut_at", "probe_at", "window"}


def turn_back(valkey: RunningValkey) -> None:
    """As Redis sees it: what was written is an hour ahead of now, and so is the end of every key that has one."""
    client = valkey.client
    for key in client.scan_iter("mr:*"):
        kind = client.type(key)
        if kind == b"zset" and _holds_moments(key):
            for member in client.zrange(key, 0, -1):
                client.zincrby(key, HOUR_MS, member)
        elif kind == b"hash":
            for field, value in client.hgetall(key).items():
                if field.decode() in MOMENTS and float(value) > 0:
                    client.hincrbyfloat(key, field, HOUR_MS)
        if (left := client.pttl(key)) > 0:
            client.pexpire(key, left + HOUR_MS)


def _holds_moments(key: bytes) -> bool:
    parts = key.decode().split(":")
    places = parts[:2] == ["mr", "line"] and len(parts) == 3  # of tenants, counted in frames
    return not places and not key.endswith(b":spans")


@pytest.fixture
def jobs(ledger: Ledger) -> list[str]:
    jobs = [f"job-{number}" for number in range(3)]
    for job in jobs:
        running_job(ledger, job, 20, lane="bulk")
    for _ in range(6):
        claimed(ledger, 1, ["bulk"])
    return jobs


def test_waiting_frames_are_claimed_in_turn(valkey: RunningValkey, ledger: Ledger, jobs: list[str]) -> None:
    turn_back(valkey)
    assert ledger.wake_ups.work("segment") > 0
    assert {claimed(ledger, 1, ["bulk"]).job for _ in range(12)} == set(jobs)


def test_frames_that_were_put_off_are_claimed_again(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    claim = claimed(ledger)
    ledger.claims.release(claim.token, 0, after=timedelta(seconds=30))
    assert ledger.claims.take(0, ["interactive"]) is None
    turn_back(valkey)
    assert ledger.wake_ups.work("segment") == 1
    assert claimed(ledger).job == "job-a"


def test_a_suspect_is_claimed_and_a_wish_to_be_alone_ends(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 2)
    claim = claimed(ledger)
    ledger.claims.release(claim.token, 0, suspect=True)
    assert ledger.claims.take(1, ["interactive"]) == SuspectWaits()  # one child empties its hands for it
    turn_back(valkey)
    assert ledger.claims.take(1, ["interactive"]) == SuspectWaits()
    assert claimed(ledger, 0).alone


def test_leases_of_dead_workers_lapse_after_one_more(valkey: RunningValkey, ledger: Ledger, jobs: list[str]) -> None:
    ledger.claims.lapse()
    turn_back(valkey)
    ledger.claims.lapse()
    now_ms = ledger.flow([an_endpoint("e")]).now_ms()
    assert all(deadline <= now_ms + 60_001 for _, deadline in valkey.client.zrange("mr:leases", 0, -1, withscores=True))


def test_steps_and_items_in_lost_hands_are_taken_again(valkey: RunningValkey, ledger: Ledger) -> None:
    finishing_job(ledger, "job-a", 1)
    assert ledger.step_leases.take("finish")
    turn_back(valkey)
    assert ledger.wake_ups.work("finish") == 1
    lease = ledger.step_leases.take("finish")
    assert lease is not None
    ledger.step_leases.assemble(lease, [(0, 0)])
    assert ledger.assembly_leases.take()
    turn_back(valkey)
    assert ledger.wake_ups.work("assemble") == 1
    assert ledger.assembly_leases.take()


def test_the_sweep_is_not_locked_out_and_storage_is_compared(valkey: RunningValkey, ledger: Ledger) -> None:
    sweeps, period = ledger.sweep_state, timedelta(seconds=5)
    assert sweeps.lock(period)
    assert sweeps.turn("clearing", period)
    assert sweeps.end_reconciling(sweeps.begin_reconciling(LEASE) or "")
    assert not sweeps.lock(period)
    turn_back(valkey)
    assert sweeps.lock(period)
    assert sweeps.turn("clearing", period)
    assert sweeps.begin_reconciling(LEASE)


def test_a_delivery_in_lost_hands_and_one_that_waits_are_sent(valkey: RunningValkey, ledger: Ledger) -> None:
    ledger.claims.lapse()  # a sweep that remembers the time
    ledger.outbox.add("job-a", "event")
    assert ledger.outbox.take()
    turn_back(valkey)
    delivery = ledger.outbox.take()
    assert delivery
    ledger.outbox.again(delivery, timedelta(seconds=5))
    turn_back(valkey)
    ledger.claims.lapse()
    ahead = valkey.client.zscore("mr:outbox", "job-a event") - ledger.flow([an_endpoint("e")]).now_ms()
    assert ahead <= 5000


def test_slots_the_gate_and_the_tokens_do_not_wait_an_hour(valkey: RunningValkey) -> None:
    flow = pool_of(valkey, an_endpoint("e", max_in_flight=2), slot_lease=LEASE)
    flow.fresh("e")
    size = {"among": ["e"], "bytes_up": 1000, "prompts": 0, "child": "c"}
    assert flow.admit("bulk", "w", "slot-1", **size).granted
    flow.admit("bulk", "gone", "slot-2", **size)
    flow.report("e", "slot-2", Report("denied", base=timedelta(minutes=1), reason="down"), "frame", 0.5)
    assert flow.state("e").gate == "closed"
    turn_back(valkey)
    assert flow.state("e").closed_for == timedelta(0)
    admission = flow.admit("bulk", "w", "slot-3", **size)
    assert admission.granted  # the slot of before is kept for one lease, and there are two
    assert admission.probe
    now_ms = flow.now_ms()
    slots = valkey.client.zrange("mr:flow:e:slots", 0, -1, withscores=True)
    assert all(deadline <= now_ms + LEASE.total_seconds() * 1000 + 1 for _, deadline in slots)


def test_loops_that_ended_are_not_counted_for_an_hour(valkey: RunningValkey, ledger: Ledger) -> None:
    ledger.wake_ups.running("segment", "loop", timedelta(seconds=6))
    assert not ledger.wake_ups.wake("segment", 1)
    turn_back(valkey)
    assert ledger.wake_ups.wake("segment", 1)


def test_a_whole_job_ends_after_it(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 3)
    held = claimed(ledger)
    turn_back(valkey)
    number = 0
    while isinstance(claim := ledger.claims.take(0, ["interactive", "bulk"]), Claim):
        settle(ledger, claim, number := number + 1)
    settle(ledger, held, number + 1)
    assert frames_of(ledger, "job-a").succeeded == 3
    assert ledger.step_leases.take("finish")
