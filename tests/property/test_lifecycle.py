"""The lifecycle as a state machine, run over the pure rules and over the real ledger side by side."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from maskrelay.contract.records.job import TERMINAL, Counts
from maskrelay.ledger.claims import Claim, Settlement
from maskrelay.rules.lifecycle import MOVES, may_cancel, verdict
from tests.support.drivers.ledger_jobs import (
    BOTH,
    accepted_job,
    conclude,
    let_lapse,
    part_name,
)
from tests.support.servers.valkeys import RunningValkey, running_valkey

JOB = "walked"
LONG_AGO = timedelta(0)


class Walk(RuleBasedStateMachine):
    """One job. What the rules say should have happened stands beside what the ledger says did."""

    server: RunningValkey

    def __init__(self) -> None:
        super().__init__()
        self.server.client.flushall()
        self.ledger = self.server.ledger()
        self.state, self.planned, self.frames, self.parts = "accepted", False, 0, 0
        self.outcomes: dict[int, bool] = {}
        self.claims: dict[str, Claim] = {}
        self.lost: list[Claim] = []
        self.held: dict[int, str] = {}
        self.written = 0
        accepted_job(self.ledger, JOB, total=10)

    def now_ms(self) -> int:
        seconds, micros = self.server.client.time()
        return seconds * 1000 + micros // 1000

    def moved(self, to: str) -> None:
        assert to in MOVES[self.state]
        self.state = to

    def follow(self) -> None:
        """The move that the rules make by themselves."""
        if self.state == "running" and self.planned and len(self.outcomes) == self.frames:
            self.moved("finishing")
        if self.state == "cancelling" and not self.held:
            self.moved("finishing")

    def let_go(self, frame: int) -> None:
        token = self.held.pop(frame)
        if token not in self.held.values():
            self.lost.append(self.claims.pop(token))

    @rule(n=st.integers(1, 4), last=st.booleans(), span=st.booleans())
    def extend(self, n: int, last: bool, span: bool) -> None:
        lease = self.ledger.step_leases.take("plan")
        if lease is None:
            assert self.planned or self.state not in {"accepted", "running"}
            return
        spans = [(self.frames, n)] if span else []
        told = {
            "first": self.frames,
            "n": n,
            "spans": spans,
            "last": last,
            "lane": "interactive",
            "items": self.frames + n,
        }
        assert not self.ledger.step_leases.extend(replace(lease, token="another"), self.parts, **told)
        assert not self.ledger.step_leases.extend(lease, self.parts + 1, **told)
        assert self.ledger.step_leases.extend(lease, self.parts, **told)
        if self.state == "accepted":
            self.moved("running")
        self.frames, self.parts, self.planned = self.frames + n, self.parts + 1, last
        self.ledger.step_leases.hand_back(lease)
        self.follow()

    @rule(most=st.integers(1, 4))
    def claim(self, most: int) -> None:
        claim = self.ledger.claims.take(0, BOTH, most)
        free = set(range(self.frames)) - self.outcomes.keys() - self.held.keys()
        if not isinstance(claim, Claim):
            assert self.state != "running" or not free
            return
        assert self.state == "running"
        assert set(claim.frames()) <= free
        self.claims[claim.token] = claim
        self.held |= dict.fromkeys(claim.frames(), claim.token)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), failed=st.booleans())
    def settle(self, data, failed: bool) -> None:
        frame = data.draw(st.sampled_from(sorted(self.held)))
        self.written += 1
        lines = [Settlement(self.held[frame], frame, failed)]
        assert self.ledger.claims.settle(JOB, part_name(self.written), lines) == {frame}
        self.outcomes[frame] = failed
        self.let_go(frame)
        self.follow()

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def a_stale_token_settles_nothing(self, data) -> None:
        claim = data.draw(st.sampled_from(self.lost))
        self.written += 1
        lines = [Settlement(claim.token, frame, failed=False) for frame in claim.frames()]
        assert self.ledger.claims.settle(JOB, part_name(self.written), lines) == set()

    @precondition(lambda self: self.held)
    @rule(data=st.data(), struck=st.booleans())
    def give_back(self, data, struck: bool) -> None:
        frame = data.draw(st.sampled_from(sorted(self.held)))
        if struck:
            assert self.ledger.claims.release_failed(self.held[frame], frame, "scoring_failed", LONG_AGO)
        else:
            assert self.ledger.claims.release(self.held[frame], frame)
        self.let_go(frame)
        self.follow()

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def lapse(self, data) -> None:
        token = data.draw(st.sampled_from(list(self.claims)))
        condemned = let_lapse(self.server, self.ledger, token)
        for frame in [frame for frame, holder in self.held.items() if holder == token]:
            self.let_go(frame)
        for one in condemned:
            lines = [Settlement(one.token, one.frame, failed=True)]
            self.written += 1
            assert self.ledger.claims.settle(JOB, part_name(self.written), lines) == {one.frame}
            self.outcomes[one.frame] = True
        self.follow()

    @rule()
    def cancel(self) -> None:
        before = self.ledger.jobs.cancel(JOB, "asked")
        assert before == self.state
        if may_cancel(self.state) and self.state != "cancelling":
            self.moved("cancelling")
        self.follow()

    @precondition(lambda self: self.state == "finishing")
    @rule(lose=st.booleans())
    def finish(self, lose: bool) -> None:
        lease = self.ledger.step_leases.take("finish")
        assert lease is not None
        record = self.ledger.jobs.get(JOB)
        assert record is not None
        if lose and self.outcomes and record.cancel_reason is None:
            frame = min(self.outcomes)
            assert self.ledger.step_leases.reopen(lease, [frame])
            del self.outcomes[frame]
            self.moved("running")
            return
        failed = sum(self.outcomes.values())
        cancelled = self.frames - len(self.outcomes)
        counts = Counts(total=self.frames, succeeded=len(self.outcomes) - failed, failed=failed, cancelled=cancelled)
        ends = verdict(counts, cancelled=record.cancel_reason is not None)
        assert conclude(self.ledger, JOB, ends, items=counts.model_dump())
        self.moved(ends)
        self.lost.extend(self.claims.values())
        self.claims.clear()
        self.held.clear()

    @invariant()
    def another_millisecond_begins(self) -> None:
        """What falls due in one millisecond is served by name, else by time: a replay must see the same order."""
        began = self.now_ms()
        while self.now_ms() == began:
            pass

    @invariant()
    def the_ledger_agrees(self) -> None:
        record = self.ledger.jobs.get(JOB)
        assert record is not None
        assert record.state == self.state
        if self.state not in TERMINAL:
            failed = sum(self.outcomes.values())
            assert record.frames.planned == self.frames
            assert record.frames.failed == failed
            assert record.frames.succeeded == len(self.outcomes) - failed
            assert record.frames.leased == len(self.held)

    def teardown(self) -> None:
        """Whatever happened, the job can be driven to its end."""
        for _ in range(200):
            if self.state in TERMINAL:
                break
            if self.state == "finishing":
                self.finish(lose=False)
            elif self.held:
                lines = [Settlement(token, frame, failed=False) for frame, token in self.held.items()]
                self.written += 1
                accepted = self.ledger.claims.settle(JOB, part_name(self.written), lines)
                assert accepted == set(self.held)
                self.outcomes |= dict.fromkeys(accepted, False)
                for frame in sorted(accepted):
                    self.let_go(frame)
                self.follow()
            elif not self.planned:
                self.extend(n=1, last=True, span=False)
            else:
                self.claim(most=4)
        assert self.state in TERMINAL


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[RunningValkey]:
    with running_valkey() as server:
        yield server


@pytest.mark.slow_subject("ledger-models")
def test_ledger_and_rules_walk_together(own_valkey: RunningValkey):
    Walk.server = own_valkey
    limits = settings(max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Walk, settings=limits)
