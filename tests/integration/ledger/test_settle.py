"""Settling frame by frame, and taking up parts that nobody settled."""

from datetime import timedelta

from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim, HeldFinish, Settlement, SuspectWaits
from maskrelay.ledger.part_names import pack
from maskrelay.ledger.step_leases import StepLease
from tests.support.drivers.flows import an_endpoint
from tests.support.drivers.ledger_jobs import (
    MINUTE,
    accepted_job,
    claimed,
    conclude,
    finishing_job,
    frames_of,
    keys_of,
    leased_step,
    let_lapse,
    part_name,
    running_job,
    settle,
    state_of,
)
from tests.support.servers.valkeys import RunningValkey

NOTHING: frozenset[int] = frozenset()


def test_settled_frames_are_counted_and_the_part_is_listed(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 4, spans=[(0, 3)])
    assert settle(ledger, claimed(ledger), 1, failed=[1]) == {0, 1, 2}
    frames = frames_of(ledger, "job-a")
    assert (frames.succeeded, frames.failed, frames.leased, frames.waiting) == (2, 1, 0, 1)
    assert ledger.jobs.parts("job-a") == [(part_name(1), NOTHING)]
    assert state_of(ledger, "job-a") == "running"
    settle(ledger, claimed(ledger), 2)
    assert state_of(ledger, "job-a") == "finishing"
    assert ledger.wake_ups.work("finish") == 1


def test_a_part_is_decided_frame_by_frame(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 3)
    stale, fresh = claimed(ledger), claimed(ledger)
    let_lapse(valkey, ledger, stale.token)
    lines = [Settlement(stale.token, 0, failed=False), Settlement(fresh.token, 1, failed=False)]
    assert ledger.claims.settle("job-a", part_name(1), lines) == {1}
    assert ledger.jobs.parts("job-a") == [(part_name(1), frozenset({0}))]
    assert settle(ledger, claimed(ledger), 2) == {0}


def test_a_stale_token_is_refused_and_its_part_listed_so_that_it_never_counts(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    running_job(ledger, "job-a", 1)
    stale = claimed(ledger)
    let_lapse(valkey, ledger, stale.token)
    assert settle(ledger, stale, 1) == set()
    assert ledger.jobs.parts("job-a") == [(part_name(1), frozenset({0}))]
    assert ledger.claims.adopt("job-a", part_name(1), [(0, False, True)]) == 0
    assert settle(ledger, claimed(ledger), 2) == {0}
    assert ledger.jobs.parts("job-a") == [(part_name(1), frozenset({0})), (part_name(2), NOTHING)]


def test_a_frame_has_one_accepted_outcome_though_two_tokens_hold_it(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 2)
    first, other = claimed(ledger), claimed(ledger)
    ledger.claims.adopt("job-a", part_name(9), [(0, True, True)])
    assert settle(ledger, first, 1) == set()
    assert settle(ledger, other, 2) == {1}
    assert frames_of(ledger, "job-a").failed == 1
    assert frames_of(ledger, "job-a").leased == 0


def test_a_settle_repeated_after_a_lost_answer_is_answered_as_before(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 3)
    claim = claimed(ledger)
    assert settle(ledger, claim, 1) == {0}
    assert settle(ledger, claim, 1) == {0}
    assert ledger.jobs.parts("job-a") == [(part_name(1), NOTHING)]


def test_a_claim_of_another_job_settles_nothing(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    running_job(ledger, "job-b", 1)
    claims = {claim.job: claim for claim in (claimed(ledger), claimed(ledger))}
    lines = [Settlement(claims["job-a"].token, 0, failed=False)]
    assert ledger.claims.settle("job-b", part_name(1), lines) == set()
    assert settle(ledger, claims["job-a"], 2) == {0}
    assert settle(ledger, claims["job-b"], 3) == {0}


def test_settling_for_an_unknown_job_is_refused_and_creates_nothing(valkey: RunningValkey, ledger: Ledger) -> None:
    lines = [Settlement("0123456789abcdef", 0, failed=False)]
    assert ledger.claims.settle("nobody", part_name(1), lines) == set()
    assert keys_of(valkey) == set()


def test_settling_for_a_job_that_is_not_begun_or_over_is_refused(valkey: RunningValkey, ledger: Ledger) -> None:
    accepted_job(ledger, "job-a")
    lines = [Settlement("0123456789abcdef", 0, failed=False)]
    assert ledger.claims.settle("job-a", part_name(1), lines) == set()
    assert ledger.jobs.parts("job-a") == []
    conclude(ledger, "job-a")
    assert ledger.claims.settle("job-a", part_name(1), lines) == set()
    assert keys_of(valkey, "mr:job:*") == {"mr:job:job-a"}


def test_a_line_that_comes_while_the_job_finishes_is_listed_as_refused(ledger: Ledger) -> None:
    finishing_job(ledger, "job-a", 1)
    lines = [Settlement("0123456789abcdef", 0, failed=True)]
    assert ledger.claims.settle("job-a", part_name(7), lines) == set()
    assert ledger.jobs.parts("job-a")[1:] == [(part_name(7), frozenset({0}))]
    assert frames_of(ledger, "job-a").failed == 0


def test_parts_are_read_by_range(ledger: Ledger) -> None:
    finishing_job(ledger, "job-a", 4)
    assert [name for name, _ in ledger.jobs.parts("job-a", 1, 2)] == [part_name(1), part_name(2)]
    assert ledger.jobs.parts("job-a", 4) == []


def test_an_adopted_part_settles_its_visible_lines(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 4)
    assert ledger.claims.adopt("job-a", part_name(1), [(0, False, True), (1, True, True), (2, False, False)]) == 2
    frames = frames_of(ledger, "job-a")
    assert (frames.succeeded, frames.failed) == (1, 1)
    assert ledger.jobs.parts("job-a") == [(part_name(1), frozenset({2}))]
    assert [claimed(ledger).first for _ in range(2)] == [2, 3]


def test_a_part_is_adopted_once(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 3)
    lines = [(0, False, True), (1, False, False)]
    assert ledger.claims.adopt("job-a", part_name(1), lines) == 1
    assert ledger.claims.adopt("job-a", part_name(1), lines) == 0
    assert ledger.claims.adopt("job-a", part_name(1), [(1, False, True)]) == 0
    settle(ledger, claimed(ledger), 2)
    assert ledger.claims.adopt("job-a", part_name(2), [(1, False, True)]) == 0
    assert ledger.jobs.parts("job-a") == [(part_name(1), frozenset({1})), (part_name(2), NOTHING)]


def test_a_worker_that_settles_a_part_after_its_adoption_learns_that_it_counts(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 3, spans=[(0, 3)])
    claim = claimed(ledger)
    assert ledger.claims.adopt("job-a", part_name(1), [(0, False, True), (1, False, False)]) == 1
    lines = [Settlement(claim.token, frame, failed=False) for frame in (0, 1)]
    assert ledger.claims.settle("job-a", part_name(1), lines) == {0}
    assert ledger.jobs.parts("job-a") == [(part_name(1), frozenset({1}))]
    assert frames_of(ledger, "job-a").leased == 1


def test_an_adopted_frame_waits_no_more(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 3)
    let_lapse(valkey, ledger, claimed(ledger).token)
    assert ledger.claims.take(1, ["interactive"]) == SuspectWaits()
    struck = claimed(ledger, holding=1)
    ledger.claims.release_failed(struck.token, struck.first, "scoring_failed", timedelta(0))
    ledger.claims.adopt("job-a", part_name(1), [(0, False, True), (1, False, True)])
    assert keys_of(valkey, "mr:job:job-a:*") == {"mr:job:job-a:settled", "mr:job:job-a:parts"}
    assert settle(ledger, claimed(ledger), 2) == {2}
    assert state_of(ledger, "job-a") == "finishing"


def test_parts_adopted_before_a_lost_job_is_planned_again_count_when_it_is(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a", total=3)
    assert ledger.claims.adopt("job-a", part_name(1), [(0, False, True), (2, True, True)]) == 2
    lease = ledger.step_leases.take("plan")
    assert lease is not None
    assert ledger.step_leases.extend(lease, 0, first=0, n=3, spans=[], last=True, lane="interactive", items=3)
    assert settle(ledger, claimed(ledger), 2) == {1}
    assert state_of(ledger, "job-a") == "finishing"
    assert frames_of(ledger, "job-a").failed == 1


def held_to_finish(ledger: Ledger, claim: Claim, number: int, token: str) -> HeldFinish | None:
    """Settle all frames of a claim, and take the finish step under this token if the job has a single frame."""
    lines = [Settlement(claim.token, frame, failed=False) for frame in claim.frames()]
    return ledger.claims.settle_and_hold(claim.job, part_name(number), lines, {}, token, MINUTE).finish


def settled_to_finish(ledger: Ledger, claim: Claim, number: int, token: str) -> StepLease | None:
    held = held_to_finish(ledger, claim, number, token)
    return None if held is None else held.lease


def test_who_holds_the_finish_step_gets_what_the_ledger_knows_of_the_job(ledger: Ledger) -> None:
    ledger.endpoints.announce([an_endpoint("second"), an_endpoint("first")])
    running_job(ledger, "job-a", 1)
    held = held_to_finish(ledger, claimed(ledger), 7, "mine")
    assert held is not None
    assert held.record == ledger.jobs.get("job-a")
    assert held.record.state == "finishing"
    assert held.parts == ledger.jobs.parts("job-a") == [(part_name(7), frozenset())]
    assert [endpoint.name for endpoint in held.endpoints] == ["second", "first"]


def test_a_single_frame_with_more_parts_than_one_answer_holds_is_finished_by_a_control_worker(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    running_job(ledger, "job-a", 1)
    valkey.client.rpush("mr:job:job-a:parts", *(pack(part_name(number)) for number in range(100)))
    assert settled_to_finish(ledger, claimed(ledger), 100, "mine") is None
    assert ledger.wake_ups.work("finish") == 1


def test_who_settles_the_only_frame_of_a_job_holds_its_finish_step(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    claim = claimed(ledger)
    lease = settled_to_finish(ledger, claim, 1, "mine")
    assert lease == StepLease("finish", "job-a", "mine", 1)
    assert ledger.wake_ups.work("finish") == 0
    assert ledger.step_leases.take("finish") is None
    assert ledger.step_leases.renew(lease)
    assert ledger.step_leases.hand_back(lease)
    assert leased_step(ledger, "finish").job == "job-a"


def test_a_settle_whose_reply_is_lost_again_and_again_counts_as_one_try_at_the_finish_step(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    claim = claimed(ledger)
    leases = [settled_to_finish(ledger, claim, 1, "mine") for _ in range(6)]
    assert leases == 6 * [StepLease("finish", "job-a", "mine", 1)]
    assert ledger.step_leases.put_off(leases[0], timedelta(0))
    assert settled_to_finish(ledger, claim, 1, "mine") == StepLease("finish", "job-a", "mine", 2)


def test_only_the_token_that_finishes_a_job_can_take_the_step_again(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    claim = claimed(ledger)
    settle(ledger, claim, 1)
    lease = leased_step(ledger, "finish")
    assert settled_to_finish(ledger, claim, 1, "late") is None
    assert ledger.step_leases.renew(lease)


def test_the_finish_step_of_a_job_with_several_frames_waits_for_a_control_worker(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 2)
    assert [settled_to_finish(ledger, claimed(ledger), number, "mine") for number in range(2)] == [None, None]
    assert ledger.wake_ups.work("finish") == 1


def test_a_step_whose_holder_died_after_it_settled_is_due_when_its_lease_ends(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    running_job(ledger, "job-a", 1)
    settled_to_finish(ledger, claimed(ledger), 1, "dead")
    valkey.client.zadd("mr:step:finish", {"job-a": 1})
    assert ledger.wake_ups.work("finish") == 1
    assert leased_step(ledger, "finish").tries == 2
