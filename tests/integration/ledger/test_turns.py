"""Whose turn it is among tenants: counted in frames, whatever their jobs are like."""

from collections import Counter
from datetime import timedelta

from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim, SuspectWaits
from tests.support.drivers.ledger_jobs import (
    BOTH,
    claimed,
    running_job,
    settle,
)
from tests.support.servers.valkeys import RunningValkey


def served(ledger: Ledger, claims: int, most: int = 32) -> Counter[str]:
    """Frames by tenant of the next claims."""
    frames: Counter[str] = Counter()
    for _ in range(claims):
        claim = claimed(ledger, holding=1, most=most)
        frames[claim.tenant] += claim.n
    return frames


def test_a_tenant_with_a_hundred_jobs_gets_no_more_than_one_with_one(ledger: Ledger) -> None:
    for number in range(100):
        running_job(ledger, f"job-{number}", 5, lane="bulk", tenant="many")
    running_job(ledger, "only", 500, lane="bulk", tenant="one")
    assert served(ledger, 60) == {"many": 30, "one": 30}


def test_turns_are_counted_in_frames_not_in_claims(ledger: Ledger) -> None:
    running_job(ledger, "volume", 640, lane="bulk", tenant="volumes", spans=[(0, 640)])
    running_job(ledger, "photos", 640, lane="bulk", tenant="photos")
    assert served(ledger, 33 * 4) == {"volumes": 32 * 4, "photos": 32 * 4}


def test_a_tenants_own_jobs_take_turns(ledger: Ledger) -> None:
    for job in ("first", "second", "third"):
        running_job(ledger, job, 4, lane="bulk", tenant="many")
    running_job(ledger, "only", 100, lane="bulk", tenant="one")
    jobs = [claim.job for claim in (claimed(ledger) for _ in range(12)) if claim.tenant == "many"]
    assert jobs == ["first", "second", "third"] * 2


def test_a_tenant_is_owed_nothing_for_the_time_it_had_no_work(ledger: Ledger) -> None:
    running_job(ledger, "old", 1000, lane="bulk", tenant="old")
    served(ledger, 500)
    running_job(ledger, "new", 100, lane="bulk", tenant="new")
    assert served(ledger, 20) == {"old": 10, "new": 10}


def test_a_tenant_whose_frames_are_all_in_hand_holds_nobody_up_and_is_served_when_they_come_back(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    running_job(ledger, "small", 1, lane="bulk", tenant="small")
    held = claimed(ledger)
    running_job(ledger, "other", 3, lane="bulk", tenant="other")
    assert ledger.claims.release(held.token, 0, after=timedelta(minutes=5))
    assert served(ledger, 3) == {"other": 3}
    assert ledger.claims.take(0, BOTH) is None
    for key, member in (("mr:job:small:due", "0"), ("mr:line:bulk:small", "small"), ("mr:later:bulk", "small")):
        assert valkey.client.zadd(key, {member: 1}, xx=True, ch=True) == 1
    assert ledger.wake_ups.work("segment") == 1
    assert settle(ledger, claimed(ledger), 1) == {0}


def test_turns_come_back_after_redis_was_emptied(valkey: RunningValkey, ledger: Ledger) -> None:
    for turn in range(2):
        valkey.client.flushall()
        running_job(ledger, "one", 50, lane="bulk", tenant="one")
        running_job(ledger, "other", 50, lane="bulk", tenant="other")
        assert served(ledger, 20) == {"one": 10, "other": 10}, turn


def test_seconds_of_decoding_count_as_frames(ledger: Ledger) -> None:
    running_job(ledger, "slow", 100, lane="bulk", tenant="slow")
    running_job(ledger, "quick", 100, lane="bulk", tenant="quick")
    served(ledger, 2)
    ledger.claims.used("bulk", "slow", 30)
    assert served(ledger, 30)["quick"] >= 29
    assert served(ledger, 20) == {"slow": 10, "quick": 10}


def test_seconds_of_a_tenant_that_is_not_in_line_are_nobodys(valkey: RunningValkey, ledger: Ledger) -> None:
    ledger.claims.used("interactive", "gone", 30)
    assert valkey.client.exists("mr:line:interactive") == 0


def test_a_claim_says_whether_another_may_find_frames(ledger: Ledger) -> None:
    def more() -> bool:
        taken = ledger.claims.take_if_open(1, BOTH, 32, ())
        assert isinstance(taken.claim, Claim)
        return taken.more

    running_job(ledger, "job-a", 2)
    running_job(ledger, "job-b", 1, tenant="south", lane="bulk")
    assert [more() for _ in range(3)] == [True, True, False]
    running_job(ledger, "job-c", 1)
    running_job(ledger, "job-d", 1)
    claim = ledger.claims.take_if_open(1, BOTH, 32, ()).claim
    assert isinstance(claim, Claim)
    assert ledger.claims.release(claim.token, claim.first, suspect=True)
    assert ledger.claims.take(1, BOTH) == SuspectWaits()
    assert more()  # the suspect frame
