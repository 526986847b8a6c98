"""Claims: whose turn it is, how much is taken, and what waits."""

from datetime import timedelta

from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim, SuspectWaits
from tests.support.drivers.ledger_jobs import (
    BOTH,
    accepted_job,
    claimed,
    frames_of,
    let_lapse,
    part_name,
    running_job,
    settle,
    state_of,
)
from tests.support.servers.valkeys import RunningValkey


def test_every_frame_is_claimed_once(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 5)
    assert [claimed(ledger).first for _ in range(5)] == [0, 1, 2, 3, 4]
    assert ledger.claims.take(0, BOTH) is None
    assert frames_of(ledger, "job-a").leased == 5


def test_a_huge_job_does_not_starve_a_small_one(ledger: Ledger) -> None:
    running_job(ledger, "huge", 1000)
    for _ in range(3):
        claimed(ledger)
    running_job(ledger, "small", 2)
    assert [claimed(ledger).job for _ in range(4)] == ["huge", "small", "huge", "small"]


def test_a_stream_of_new_jobs_does_not_starve_an_old_one(ledger: Ledger) -> None:
    running_job(ledger, "old", 10)
    served = []
    for number in range(6):
        running_job(ledger, f"new-{number}", 1)
        served.append(claimed(ledger).job)
    assert served.count("old") == 3


def test_interactive_goes_before_bulk_and_one_claim_in_eight_is_bulk(ledger: Ledger) -> None:
    running_job(ledger, "bulk", 100, lane="bulk")
    running_job(ledger, "interactive", 100)
    lanes = [claimed(ledger).lane for _ in range(16)]
    assert lanes == [*["interactive"] * 7, "bulk"] * 2


def test_a_child_that_never_has_room_for_bulk_still_serves_it(ledger: Ledger) -> None:
    running_job(ledger, "bulk", 100, lane="bulk")
    running_job(ledger, "interactive", 100)
    assert [claimed(ledger, 7, ["interactive"]).lane for _ in range(8)].count("bulk") == 1


def test_interactive_takes_every_turn_while_no_bulk_waits(ledger: Ledger) -> None:
    running_job(ledger, "interactive", 20)
    assert {claimed(ledger).lane for _ in range(20)} == {"interactive"}


def test_bulk_is_not_claimed_where_only_interactive_is_asked_for(ledger: Ledger) -> None:
    running_job(ledger, "bulk", 3, lane="bulk")
    assert ledger.claims.take(6, ["interactive"]) is None


def test_neighbours_of_one_item_are_claimed_together(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 45, spans=[(2, 40)])
    runs = []
    while isinstance(claim := ledger.claims.take(0, BOTH), Claim):
        runs.append((claim.first, claim.n))
    assert runs == [(0, 1), (1, 1), (2, 32), (34, 8), (42, 1), (43, 1), (44, 1)]


def test_a_run_is_no_longer_than_asked_for(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 10, spans=[(0, 10)])
    assert [claimed(ledger, most=4).n for _ in range(3)] == [4, 4, 2]


def test_a_run_ends_before_a_frame_that_has_its_outcome(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 10, spans=[(0, 10)])
    ledger.claims.adopt("job-a", part_name(1), [(frame, False, True) for frame in (0, 4, 5, 9)])
    runs = [(claim.first, claim.n) for claim in (claimed(ledger), claimed(ledger))]
    assert runs == [(1, 3), (6, 3)]
    assert ledger.claims.take(0, BOTH) is None


def test_frames_can_be_claimed_while_planning_goes_on(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a", total=4)
    lease = ledger.step_leases.take("plan")
    assert lease is not None
    ledger.step_leases.extend(lease, 0, first=0, n=2, spans=[], last=False, lane="interactive", items=2)
    assert settle(ledger, claimed(ledger), 1) == {0}
    assert settle(ledger, claimed(ledger), 2) == {1}
    assert ledger.claims.take(0, BOTH) is None
    assert state_of(ledger, "job-a") == "running"
    assert ledger.step_leases.extend(lease, 1, first=2, n=2, spans=[], last=True, lane="interactive", items=4)
    assert [claimed(ledger).first, claimed(ledger).first] == [2, 3]


def test_a_released_frame_comes_back_uncharged_when_it_falls_due(ledger: Ledger, valkey: RunningValkey) -> None:
    running_job(ledger, "job-a", 1)
    claim = claimed(ledger)
    assert ledger.claims.release(claim.token, 0, after=timedelta(minutes=5))
    assert ledger.claims.take(0, BOTH) is None
    assert ledger.wake_ups.work("segment") == 0
    valkey.client.zadd("mr:job:job-a:due", {"0": 1})
    valkey.client.zadd("mr:line:interactive:north", {"job-a": 1})
    valkey.client.zadd("mr:later:interactive", {"north": 1})
    assert ledger.wake_ups.work("segment") == 1
    again = claimed(ledger)
    assert (again.first, again.trouble(0).attempts) == (0, 0)
    assert not ledger.claims.release(claim.token, 0)


def test_a_strike_is_remembered_until_it_is_charged(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    claim = claimed(ledger)
    assert ledger.claims.release_failed(claim.token, 0, "scoring_failed", timedelta(0))
    claim = claimed(ledger)
    trouble = claim.trouble(0)
    assert (trouble.attempts, trouble.code) == (0, "scoring_failed")
    assert abs(trouble.struck - claim.now_ms) < 60_000
    assert ledger.claims.charge(claim.token, 0) == 1
    assert ledger.claims.release(claim.token, 0)
    assert claimed(ledger).trouble(0).struck == 0


def test_a_frame_that_the_claim_does_not_hold_is_neither_charged_nor_given_back(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 4, spans=[(0, 2), (2, 2)])
    claim = claimed(ledger)
    settle(ledger, claim, 1)
    other = claimed(ledger)
    assert ledger.claims.charge(other.token, 0) == -1
    assert not ledger.claims.release(other.token, 0)
    assert not ledger.claims.release_failed(other.token, 1, "scoring_failed", timedelta(0))
    assert frames_of(ledger, "job-a").leased == 2


def test_a_suspect_is_claimed_alone_and_stays_one_when_it_is_given_back(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 3)
    let_lapse(valkey, ledger, claimed(ledger).token)
    suspect = claimed(ledger, holding=0)
    assert (suspect.first, suspect.n, suspect.alone) == (0, 1, True)
    assert ledger.claims.release(suspect.token, 0)
    again = claimed(ledger, holding=0)
    assert (again.first, again.alone) == (0, True)
    assert ledger.claims.release_failed(again.token, 0, "scoring_failed", timedelta(0))
    assert claimed(ledger, holding=0).alone


def test_while_work_waits_one_child_is_asked_to_empty_its_hands_for_a_suspect(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    running_job(ledger, "job-a", 1)
    let_lapse(valkey, ledger, claimed(ledger).token)
    running_job(ledger, "job-b", 10)
    assert ledger.claims.take(3, BOTH) == SuspectWaits()
    assert claimed(ledger, holding=3).job == "job-b"
    emptied = claimed(ledger, holding=0)
    assert (emptied.job, emptied.alone) == ("job-a", True)


def test_a_child_is_asked_to_empty_its_hands_when_only_suspects_wait(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    let_lapse(valkey, ledger, claimed(ledger).token)
    assert [ledger.claims.take(2, BOTH) for _ in range(3)] == [SuspectWaits()] * 3
    assert ledger.wake_ups.work("segment") == 1


def test_many_due_retries_stop_the_cursor(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 2050, spans=[(0, 2050)])
    for _ in range(63):
        claim = claimed(ledger)
        for frame in claim.frames():
            ledger.claims.release(claim.token, frame, after=timedelta(minutes=5), suspect=frame % 2 == 0)
    assert valkey.client.zcard("mr:job:job-a:due") + valkey.client.zcard("mr:job:job-a:suspects") == 63 * 32
    assert ledger.claims.take(0, BOTH) is None
    assert ledger.wake_ups.work("segment") == 0
    valkey.client.zremrangebyrank("mr:job:job-a:due", 0, 99)
    ledger.claims.adopt("job-a", part_name(1), [(0, False, True)])
    assert claimed(ledger).first == 2016


def test_leased_frames_are_counted_right_whatever_becomes_of_them(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 64, spans=[(0, 64)])
    one, two = claimed(ledger), claimed(ledger)
    assert frames_of(ledger, "job-a").leased == 64
    ledger.claims.release(one.token, 0)
    ledger.claims.release(one.token, 0)
    ledger.claims.release_failed(one.token, 1, "scoring_failed", timedelta(0))
    settle(ledger, one, 1)
    settle(ledger, one, 2)
    assert frames_of(ledger, "job-a").leased == 32
    let_lapse(valkey, ledger, one.token, two.token)
    frames = frames_of(ledger, "job-a")
    assert (frames.leased, frames.succeeded, frames.waiting) == (0, 30, 34)
