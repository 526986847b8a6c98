"""The limiter under any interleaving of clients that ask, answer, give up, pause and die: never over a limit, nothing
leaked, nobody passed over, and whoever waits is served though others never end.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from maskrelay.contract.records.job import Lane
from maskrelay.ledger.flow_control import Admission, Transfer
from maskrelay.rules.endpoint_gate import CANCELLED, GOOD, Report
from tests.support.drivers.flows import an_endpoint, pool_of
from tests.support.drivers.limiter_views import Begun, Side, Wait
from tests.support.servers.valkeys import RunningValkey, running_valkey

#: So long that no slot lapses only because the machine is slow.
LEASE = timedelta(minutes=10)
LEASE_MS = 600_000
BURST_MS = 100
MOST = {"east": 4, "west": 2}
PER_S = {"east": 100.0, "west": 5.0}
BYTES_PER_S = {"east": 2e7, "west": 2e6}
CLIENTS = st.integers(0, 9)
IN_A_HURRY = 10
LANES: st.SearchStrategy[Lane] = st.sampled_from(["interactive", "bulk"])
POOLS = st.sampled_from([["east", "west"], ["west", "east"], ["east"], ["west"]])
ENDS = st.sampled_from(
    [
        GOOD,
        GOOD,
        GOOD,
        CANCELLED,
        Report("failed", reason="scoring_failed"),
        Report("busy", keep_slot=True, reason="request_timeout", overload="slow"),
        Report("busy", reason="unavailable", overload="slow"),
        Report("busy", reason="pending", overload="pending"),
        Report("busy", reason="rate", overload="rate"),
        Report("busy", retry_after=timedelta(seconds=3), reason="pending", overload="pending"),
        Report("denied", reason="denied"),
    ]
)


#: A score's end that tells nothing of the endpoint.
GIVEN_BACK = Report("cancelled")


@dataclass(frozen=True)
class Asked:
    """What a client waits for."""

    slot: str
    lane: Lane
    among: tuple[str, ...]
    prompts: int
    child: str

    @property
    def waiter(self) -> str:
        return f"waiter of {self.slot}"


#: For each endpoint and lane, whether anyone may wait there, and the deadlines of those who do.
Lines = dict[tuple[str, Lane], tuple[bool, dict[bytes, float]]]


class Crowd(RuleBasedStateMachine):
    """Clients that each score one frame at a time, over a pool of two endpoints."""

    server: RunningValkey

    def __init__(self) -> None:
        super().__init__()
        self.client = self.server.client
        self.client.flushall()
        rates = {name: {"max_requests_per_s": PER_S[name], "max_bytes_per_s": BYTES_PER_S[name]} for name in MOST}
        pool = [an_endpoint(name, max_in_flight=most, **rates[name]) for name, most in MOST.items()]
        self.flow = pool_of(self.server, *pool, slot_lease=LEASE)
        assert all(self.flow.fresh(name) for name in MOST)
        self.sides = {name: Side() for name in MOST}
        self.under_way: dict[int, tuple[str, str]] = {}
        self.waiting: dict[int, Asked] = {}
        self.abandoned: list[Asked] = []
        self.asked = 0
        self.gone_by = 0.0

    def now(self) -> float:
        seconds, microseconds = self.client.time()
        return seconds * 1000 + microseconds / 1000 + self.gone_by

    def waiters(self, name: str, lane: Lane) -> tuple[bool, dict[bytes, float]]:
        """Whether anyone may wait there, and the deadlines of those who do."""
        deadlines = dict(self.client.zrange(f"mr:flow:{name}:seen", 0, -1, withscores=True))
        listed = self.client.zrange(f"mr:flow:{name}:waiters:{lane}", 0, -1)
        return bool(listed), {waiter: deadlines[waiter] for waiter in listed}

    def limits(self) -> dict[str, int]:
        return {one["name"]: one["limit"] for one in self.flow.document()}

    @rule(client=CLIENTS, lane=LANES, among=POOLS, prompts=st.sampled_from([0, 1, 3]))
    def ask(self, client: int, lane: Lane, among: list[str], prompts: int) -> None:
        """A client that waits asks again for the same."""
        if client in self.under_way:
            return
        if client not in self.waiting:
            self.asked += 1
            self.waiting[client] = Asked(f"slot-{self.asked}", lane, tuple(among), prompts, f"child-{client % 2}")
        asked, lines, before = self.waiting[client], self.lines(), self.now()
        admission = self.admit(asked)
        assert admission.granted == (admission.wait == timedelta(0)) == (admission.endpoint in asked.among)
        for name in asked.among:
            if admission.endpoint != name:
                self.line_moves(name, None)
        if admission.granted:
            self.begins(asked, admission.endpoint, before, lines, probe=admission.probe)
            self.goes_on(client, asked, admission.endpoint)
        self.grants_come(before, lines)

    def admit(self, asked: Asked) -> Admission:
        size = {"bytes_up": 700_000, "prompts": asked.prompts}
        whom = {"among": asked.among, "child": asked.child}
        return self.flow.admit(asked.lane, asked.waiter, asked.slot, **whom, **size)

    def goes_on(self, client: int, asked: Asked, name: str) -> None:
        del self.waiting[client]
        self.under_way[client] = name, asked.slot

    def lines(self) -> Lines:
        return {(name, lane): self.waiters(name, lane) for name in MOST for lane in get_args(Lane)}

    def grants_come(self, before: float, lines: Lines) -> None:
        """See what was granted to those that wait; each learns it if it asks again, if it lives."""
        for client, asked in [*self.waiting.items(), *((None, one) for one in self.abandoned)]:
            name = next((name for name in asked.among if self.has_slot(name, asked.slot)), None)
            if name is None:
                continue
            self.begins(asked, name, before, lines, probe=False)
            if client is None:
                self.abandoned.remove(asked)
                continue
            assert self.admit(asked).endpoint == name
            self.goes_on(client, asked, name)

    def has_slot(self, name: str, slot: str) -> bool:
        return self.client.zscore(f"mr:flow:{name}:slots", slot) is not None

    def begins(self, asked: Asked, name: str, before: float, lines: Lines, *, probe: bool) -> None:
        """Check that the score may begin, which was granted since `before`, when the lines were these."""
        side, limit, slot = self.sides[name], self.limits()[name], asked.slot
        self.line_moves(name, None if probe else asked.lane)
        self.has_begun(name, slot, before)
        assert len(side.working) <= limit <= MOST[name]
        self.is_the_probe_or_none(name, slot, probe=probe)
        if not probe:
            self.was_its_turn(name, asked.lane, lines[name, "bulk" if asked.lane == "interactive" else "interactive"])
            side.slots = limit
            if asked.lane == "bulk":
                side.bulk.add(slot)
        for one in asked.among:
            lines[one, asked.lane][1].pop(f"{asked.child}:{asked.waiter}".encode(), None)

    @rule(among=POOLS)
    def rush(self, among: list[str]) -> None:
        """One client's short interactive frames, one after another."""
        for _ in range(8):
            self.ask(IN_A_HURRY, "interactive", among, 0)
            self.answer(IN_A_HURRY, GIVEN_BACK, 1.0, early=False)
            self.time_goes_by(share=0.0002)

    def has_begun(self, name: str, slot: str, before: float) -> None:
        side, after = self.sides[name], self.now()
        answer = float((self.client.hget(f"mr:flow:{name}:scores", slot) or b"").split()[3])
        side.begun.append(Begun(before, after, 700_000 + answer))
        side.working.add(slot)

    def is_the_probe_or_none(self, name: str, slot: str, *, probe: bool) -> None:
        side = self.sides[name]
        assert probe == side.closed
        if probe:
            assert side.probe is None
            side.probe = slot

    def was_its_turn(self, name: str, lane: Lane, others: tuple[bool, dict[bytes, float]]) -> None:
        """Bulk passes a waiting interactive frame only after seven of those; those never take an eighth."""
        side, (listed, deadlines) = self.sides[name], others
        waited = any(deadline + self.gone_by > self.now() for deadline in deadlines.values())
        if lane == "bulk":
            assert not waited or side.maybe >= 7
            side.sure = side.maybe = 0
            return
        assert not waited or side.sure < 7
        side.sure = side.sure + 1 if waited else 0
        side.maybe = side.maybe + 1 if listed else 0

    def line_moves(self, name: str, granted: Lane | None) -> None:
        """No interactive frame is behind more than one bulk frame a slot, and one more for seven before it in line."""
        side, waits = self.sides[name], {}
        slots = max(self.limits()[name], side.slots, len(side.working))
        for waiter, since in self.client.zrange(f"mr:flow:{name}:waiters:interactive", 0, -1, withscores=True):
            wait = side.waits.get(waiter)
            if wait is None or wait.since != since:
                wait = Wait(since, slots, len(side.bulk & side.working))
            elif granted == "bulk":
                wait.bulk += 1
            elif granted == "interactive":
                wait.interactive += 1
            waits[waiter] = wait
            assert wait.bulk <= wait.slots + wait.interactive // 7
        side.waits = waits

    @rule(client=CLIENTS, end=ENDS, weighs=st.sampled_from([0.01, 1.0, 1.5]), early=st.booleans())
    def answer(self, client: int, end: Report, weighs: float, early: bool) -> None:
        """early: the slot is free before it is known what the answer says."""
        if client not in self.under_way:
            return
        name, slot = self.under_way.pop(client)
        side = self.sides[name]
        taken = float((self.client.hget(f"mr:flow:{name}:scores", slot) or b"").split()[3])
        came = round(1.4e6 * weighs) if end.kind == "good" else 0
        moved = Transfer(700_000, came, 1, 1.0, came / 1e6) if came else None
        released = None
        if early and not end.keep_slot and side.probe != slot:
            lines, before = self.lines(), self.now()
            released = self.flow.release(name, slot, came)
            self.is_free(name, slot, taken - came)
            self.grants_come(before, lines)
        lines, before = self.lines(), self.now()
        gate = self.flow.report(name, slot, end, f"frame-{client}", 0.5, moved, released)
        if released is None and not end.keep_slot:
            self.is_free(name, slot, taken - came)
        if side.probe == slot:
            assert gate in ({"open"} if end.kind == "good" else {"closed"})
        if gate != "half-open":
            side.probe = None
        side.closed = gate != "open"
        self.grants_come(before, lines)

    def is_free(self, name: str, slot: str, tokens: float) -> None:
        self.sides[name].working.discard(slot)
        self.sides[name].given_back.append((self.now(), max(0.0, tokens)))

    @rule(client=CLIENTS)
    def give_up(self, client: int) -> None:
        if client in self.waiting:
            asked = self.waiting.pop(client)
            self.flow.withdraw(asked.waiter, asked.slot, among=asked.among, child=asked.child)

    @rule(client=CLIENTS)
    def die(self, client: int) -> None:
        """Its slot stays until it lapses, also if it is granted after its death."""
        self.under_way.pop(client, None)
        if client in self.waiting:
            self.abandoned.append(self.waiting.pop(client))

    @rule(share=st.sampled_from([0.0002, 0.002, 0.3, 0.6]))
    def time_goes_by(self, share: float) -> None:
        """All deadlines come nearer by a part of a lease; a client that still scores then has lost its slot."""
        by = share * LEASE_MS
        self.gone_by += by
        for name, side in self.sides.items():
            flow = f"mr:flow:{name}"
            for key in (f"{flow}:slots", f"{flow}:seen"):
                for member in self.client.zrange(key, 0, -1):
                    self.client.zincrby(key, -by, member)
            for one in ("closed_until", "next_at", "bytes_at"):
                if self.client.hexists(flow, one):
                    self.client.hincrbyfloat(flow, one, -by)
            alive = self.client.zrangebyscore(f"{flow}:slots", self.now() - self.gone_by, "+inf")
            side.working &= {slot.decode() for slot in alive}
            if side.probe not in side.working:
                side.probe = None
        self.under_way = {
            client: (name, slot) for client, (name, slot) in self.under_way.items() if slot in self.sides[name].working
        }

    @invariant()
    def in_flight_is_what_may_be_worked_on(self) -> None:
        for name, side in self.sides.items():
            assert self.flow.state(name).in_flight == len(side.working) <= MOST[name]

    @invariant()
    def no_window_has_more_requests_or_bytes_than_its_rates_allow(self) -> None:
        """Over every stretch that ends with the last score: each took its tokens before the next could begin."""
        for name, side in self.sides.items():
            requests = weight = 0.0
            for one in reversed(side.begun[:-1]):
                requests, weight = requests + 1, weight + one.bytes
                span = side.begun[-1].after - one.before
                given_back = sum(size for at, size in side.given_back if at >= one.before)
                assert requests <= PER_S[name] * span / 1000 + 0.01
                assert weight <= BYTES_PER_S[name] * (span + BURST_MS) / 1000 + given_back + 1

    def teardown(self) -> None:
        """Whatever happened, within one lease every slot is free, and scores go up to the limit, each in its turn."""
        for name in MOST:
            self.all_lapses()
            assert self.flow.state(name).in_flight == 0
            assert self.survivor(name, "first", "interactive")
            assert self.flow.report(name, "first", GOOD, "frame", 0.5) == "open"
            limit = self.limits()[name]
            assert [self.survivor(name, f"last-{number}") for number in range(limit + 1)] == [True] * limit + [False]
            assert self.passed_by(name, "interactive") == {}
            assert self.passed_by(name, "bulk") == {"interactive": 7}

    def all_lapses(self) -> None:
        self.under_way.clear()
        self.waiting.clear()
        self.time_goes_by(share=2.5)

    def survivor(self, name: str, slot: str, lane: Lane = "bulk") -> bool:
        self.tokens_come(name)
        return self.admit(Asked(slot, lane, (name,), 1, "survivor")).granted

    def tokens_come(self, name: str) -> None:
        self.client.hset(f"mr:flow:{name}", mapping={"next_at": 0, "bytes_at": 0})

    def passed_by(self, name: str, lane: Lane) -> Counter[Lane]:
        """Which frames go before one of this lane that finds all slots taken and waits: two later ones of each lane
        are always in line, never end and ask first.
        """
        self.all_lapses()
        taken = [f"taken-{number}" for number in range(self.limits()[name])]
        assert all(self.survivor(name, slot) for slot in taken)
        assert not self.survivor(name, "patient", lane)
        passed: Counter[Lane] = Counter()
        rivals: list[tuple[Lane, str]] = [(one, f"{one}-{number}") for number in range(2) for one in get_args(Lane)]
        for turn in range(20):
            assert not any(self.survivor(name, slot, other) for other, slot in rivals)
            self.tokens_come(name)
            self.flow.report(name, taken.pop(0), GIVEN_BACK, "frame", 0.5)
            if self.has_slot(name, "patient"):
                break
            ((other, slot),) = [rival for rival in rivals if self.has_slot(name, rival[1])]
            passed[other] += 1
            taken.append(slot)
            rivals = [rival for rival in rivals if rival[1] != slot] + [(other, f"{other}-after-{turn}")]
        assert self.survivor(name, "patient", lane)
        return passed


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[RunningValkey]:
    with running_valkey() as server:
        yield server


@pytest.mark.slow_subject("ledger-models")
def test_no_interleaving_exceeds_a_limit_leaks_a_slot_or_passes_anyone_over(own_valkey: RunningValkey) -> None:
    Crowd.server = own_valkey
    limits = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Crowd, settings=limits)
