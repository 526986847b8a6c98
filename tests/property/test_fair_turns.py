"""Whose turn it is, over the real ledger: whatever comes, goes and is lost, tenants with work get as many frames."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from maskrelay.contract.records.job import Lane
from maskrelay.ledger.claims import Claim
from tests.support.drivers.ledger_jobs import (
    BOTH,
    part_name,
    running_job,
    settle,
)
from tests.support.servers.valkeys import RunningValkey, running_valkey

MOST = 4
TENANTS = ("east", "north", "south")
#: Two tenants with work are never further apart: each may be one claim ahead, and one who comes into line a claim more.
APART = 3 * MOST
LATER = timedelta(minutes=5)
LANES: st.SearchStrategy[list[Lane]] = st.sampled_from([BOTH, BOTH, ["interactive"]])


@dataclass
class Job:
    """A running job; frames are free, held, put off until later, or settled (in `parts`)."""

    tenant: str
    lane: Lane
    n: int
    whole: bool
    free: set[int]
    later: set[int] = field(default_factory=set)
    parts: dict[str, set[int]] = field(default_factory=dict)


class Crowd(RuleBasedStateMachine):
    """Jobs of three tenants in two lanes, and workers that claim, settle, give back and die with Redis."""

    server: RunningValkey

    def __init__(self) -> None:
        super().__init__()
        self.server.client.flushall()
        self.ledger = self.server.ledger()
        self.jobs: dict[str, Job] = {}
        self.claims: list[Claim] = []
        self.ahead: Counter[tuple[Lane, str, str]] = Counter()
        self.row: Counter[Lane] = Counter()
        self.named = 0

    def have_work(self, lane: Lane) -> set[str]:
        return {job.tenant for job in self.jobs.values() if job.lane == lane and job.free}

    @rule(tenant=st.sampled_from(TENANTS), lane=st.sampled_from(BOTH), n=st.integers(1, 40), whole=st.booleans())
    def submit(self, tenant: str, lane: Lane, n: int, whole: bool) -> None:
        self.named += 1
        self.runs(f"job-{self.named}", Job(tenant, lane, n, whole, set(range(n))))

    @rule(tenant=st.sampled_from(TENANTS), lane=st.sampled_from(BOTH))
    def submit_many(self, tenant: str, lane: Lane) -> None:
        for _ in range(10):
            self.submit(tenant, lane, 3, whole=False)

    def runs(self, name: str, job: Job) -> None:
        spans = [(0, job.n)] if job.whole and job.n > 1 else []
        running_job(self.ledger, name, job.n, lane=job.lane, spans=spans, tenant=job.tenant)
        self.jobs[name] = job

    @rule(lanes=LANES, most=st.integers(1, MOST), times=st.integers(1, 20))
    def claim(self, lanes: list[Lane], most: int, times: int) -> None:
        for _ in range(times):
            have = {lane: self.have_work(lane) for lane in BOTH}
            claim = self.ledger.claims.take(1, lanes, most)
            if not isinstance(claim, Claim):
                assert not any(have[lane] for lane in lanes)
                return
            job = self.jobs[claim.job]
            assert (claim.tenant, claim.lane) == (job.tenant, job.lane)
            assert set(claim.frames()) <= job.free
            job.free -= set(claim.frames())
            self.claims.append(claim)
            self.tenants_are_equal(claim, have[claim.lane])
            self.lanes_take_turns(claim.lane, have)

    def tenants_are_equal(self, claim: Claim, have: set[str]) -> None:
        """Counted from when both of a pair had work that could be claimed, and as long as both do."""
        for one, other in permutations(TENANTS, 2):
            pair = claim.lane, one, other
            if not {one, other} <= have:
                self.ahead[pair] = 0
            elif claim.tenant == one:
                self.ahead[pair] += claim.n
                self.ahead[claim.lane, other, one] -= claim.n
            assert self.ahead[pair] <= APART

    def lanes_take_turns(self, lane: Lane, have: dict[Lane, set[str]]) -> None:
        """While both wait: no two claims in a row are bulk, no eight are interactive."""
        if not all(have.values()):
            self.row.clear()
        elif lane == "interactive":
            self.row = Counter({"interactive": self.row["interactive"] + 1})
        else:
            self.row = Counter({"bulk": self.row["bulk"] + 1})
        assert self.row["bulk"] <= 1
        assert self.row["interactive"] <= 7

    @precondition(lambda self: self.claims)
    @rule(times=st.integers(1, 20), how=st.sampled_from(["settled", "again", "later"]))
    def end(self, times: int, how: str) -> None:
        """The oldest claims are settled, given back, or put off."""
        for claim in self.claims[:times]:
            job = self.jobs[claim.job]
            if how == "settled":
                self.named += 1
                job.parts[part_name(self.named)] = settle(self.ledger, claim, self.named)
                continue
            for frame in claim.frames():
                assert self.ledger.claims.release(claim.token, frame, after=LATER if how == "later" else timedelta(0))
                (job.later if how == "later" else job.free).add(frame)
        del self.claims[:times]

    @rule()
    def time_goes_by(self) -> None:
        """What was put off falls due."""
        client, now = self.server.client, self.server.client.time()[0] * 1000
        for key in [*client.keys("mr:job:*:due"), *client.keys("mr:line:*:*"), *client.keys("mr:later:*")]:
            for member in client.zrangebyscore(key, now + 60_000, "+inf"):
                client.zadd(key, {member: now})
        for job in self.jobs.values():
            job.free |= job.later
            job.later.clear()

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data) -> None:
        name = data.draw(st.sampled_from(sorted(self.jobs)))
        self.ledger.jobs.cancel(name, "asked")
        self.claims = [claim for claim in self.claims if claim.job != name]
        del self.jobs[name]

    @rule()
    def redis_is_emptied(self) -> None:
        """The jobs come back from storage, with the parts that it holds; the workers' claims are lost."""
        self.server.client.flushall()
        self.claims.clear()
        self.ahead.clear()
        self.row.clear()
        for name, job in list(self.jobs.items()):
            self.runs(name, job)
            for part, frames in job.parts.items():
                self.ledger.claims.adopt(name, part, [(frame, False, True) for frame in frames])
            job.free = set(range(job.n)).difference(*job.parts.values())
            job.later.clear()

    def teardown(self) -> None:
        """Everything is claimed in turn, and then what was put off."""
        for _ in range(2):
            while any(self.have_work(lane) for lane in BOTH):
                self.claim(BOTH, MOST, 20)
            self.claim(BOTH, MOST, 1)
            self.time_goes_by()


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[RunningValkey]:
    with running_valkey() as server:
        yield server


@pytest.mark.slow_subject("ledger-models")
def test_tenants_with_work_get_equal_numbers_of_frames(own_valkey: RunningValkey) -> None:
    Crowd.server = own_valkey
    limits = settings(max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Crowd, settings=limits)
