"""Workers that are not heard of: their frames come back, and two lone deaths condemn a frame."""

from datetime import timedelta

from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Settlement
from tests.support.drivers.ledger_jobs import (
    claimed,
    finishing_job,
    frames_of,
    keys_of,
    let_lapse,
    part_name,
    running_job,
    settle,
    state_of,
)
from tests.support.servers.valkeys import RunningValkey


def deadline(valkey: RunningValkey, token: str) -> float:
    return float(valkey.client.zscore("mr:leases", token) or 0)


def test_the_frames_of_a_dead_worker_come_back_as_suspects(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 3, spans=[(0, 3)])
    claim = claimed(ledger)
    assert let_lapse(valkey, ledger, claim.token) == []
    assert frames_of(ledger, "job-a").leased == 0
    assert [(claimed(ledger).first, claimed(ledger).alone)] == [(0, True)]
    assert ledger.claims.renew([claim.token]) == {claim.token}


def test_a_renewed_lease_does_not_lapse(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    claim = claimed(ledger)
    ledger.claims.lapse()
    valkey.client.zadd("mr:leases", {claim.token: 1})
    assert ledger.claims.renew([claim.token, "0123456789abcdef"]) == {"0123456789abcdef"}
    assert ledger.claims.lapse() == (0, [])
    assert settle(ledger, claim, 1) == {0}
    assert ledger.claims.renew([]) == set()


def test_every_lease_gets_one_more_when_redis_is_another_one(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    claim = claimed(ledger)
    ledger.claims.lapse()
    valkey.client.hset("mr:sweep", "run_id", "that of another server")
    valkey.client.zadd("mr:leases", {claim.token: 1})
    assert ledger.claims.lapse() == (0, [])
    assert deadline(valkey, claim.token) > 1
    valkey.client.zadd("mr:leases", {claim.token: 1})
    assert ledger.claims.lapse() == (1, [])


def test_every_lease_gets_one_more_when_nobody_swept_for_longer_than_a_lease(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    running_job(ledger, "job-a", 1)
    claim = claimed(ledger)
    ledger.claims.lapse()
    valkey.client.hincrby("mr:sweep", "last", -61_000)
    valkey.client.zadd("mr:leases", {claim.token: 1})
    assert ledger.claims.lapse() == (0, [])
    assert deadline(valkey, claim.token) > 1


def test_two_lone_deaths_condemn_a_frame_and_the_sweep_may_settle_it(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 2)
    assert let_lapse(valkey, ledger, claimed(ledger).token) == []
    assert let_lapse(valkey, ledger, claimed(ledger).token) == []
    last = claimed(ledger)
    assert (last.first, last.trouble(0).deaths) == (0, 1)
    condemned = let_lapse(valkey, ledger, last.token)
    assert [(one.job, one.frame) for one in condemned] == [("job-a", 0)]
    assert condemned[0].now_ms >= last.now_ms  # by the clock of Redis, by which parts are named
    assert claimed(ledger).first == 1
    lines = [Settlement(condemned[0].token, 0, failed=True)]
    assert ledger.claims.settle("job-a", part_name(1), lines) == {0}
    assert frames_of(ledger, "job-a").failed == 1
    assert not valkey.client.hexists("mr:job:job-a:trouble", "0")


def test_a_condemned_frame_whose_sweep_died_is_condemned_again(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    for _ in range(2):
        let_lapse(valkey, ledger, claimed(ledger).token)
    condemned = let_lapse(valkey, ledger, claimed(ledger).token)
    again = let_lapse(valkey, ledger, condemned[0].token)
    assert [(one.job, one.frame) for one in again] == [("job-a", 0)]
    assert again[0].token != condemned[0].token
    assert frames_of(ledger, "job-a").leased == 1


def test_a_death_in_company_is_held_against_nobody(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 40, spans=[(0, 40)])
    claim = claimed(ledger)
    assert (claim.n, claim.alone) == (32, False)
    assert let_lapse(valkey, ledger, claim.token) == []
    assert not valkey.client.exists("mr:job:job-a:trouble")
    suspect = claimed(ledger)
    assert (suspect.alone, suspect.trouble(0).deaths) == (True, 0)


def test_a_released_suspect_was_not_a_death(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    let_lapse(valkey, ledger, claimed(ledger).token)
    for _ in range(3):
        claim = claimed(ledger)
        assert claim.alone
        ledger.claims.release(claim.token, 0, after=timedelta(0))
    assert claimed(ledger).trouble(0).deaths == 0


def test_a_lapse_after_the_frame_was_adopted_leaves_it_settled(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    claim = claimed(ledger)
    ledger.claims.adopt("job-a", part_name(1), [(0, False, True)])
    assert state_of(ledger, "job-a") == "finishing"
    let_lapse(valkey, ledger, claim.token)
    assert frames_of(ledger, "job-a").leased == 0
    assert state_of(ledger, "job-a") == "finishing"
    assert not keys_of(valkey) & {"mr:claims", "mr:leases", "mr:suspects:interactive"}


def test_a_sweep_takes_back_only_as_many_as_asked(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 5)
    tokens = [claimed(ledger).token for _ in range(5)]
    ledger.claims.lapse()
    valkey.client.zadd("mr:leases", dict.fromkeys(tokens, 1))
    assert [ledger.claims.lapse(most=3)[0] for _ in range(3)] == [3, 2, 0]


def test_a_finished_job_leaves_no_claims(valkey: RunningValkey, ledger: Ledger) -> None:
    finishing_job(ledger, "job-a", 3)
    assert not keys_of(valkey) & {"mr:claims", "mr:leases", "mr:line:interactive:north", "mr:suspects:interactive"}
