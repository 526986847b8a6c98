"""The limiter under any interleaving of clients that ask, answer, pause and die: never over its limit, nothing
leaked."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from maskrelay.contract.jobs import Lane
from maskrelay.rules.gate import CANCELLED, GOOD, Report
from tests.valkeys import RunningValkey, running_valkey

LEASE = timedelta(minutes=2)
LEASE_MS = 120_000
LIMIT = 3
FLOW = "mr:flow:endpoint"
CLIENTS = st.integers(0, 7)
LANES: st.SearchStrategy[Lane] = st.sampled_from(["interactive", "bulk"])
ENDS = st.sampled_from(
    [
        GOOD,
        CANCELLED,
        Report("failed", reason="scoring_failed"),
        Report("busy", keep_slot=True, reason="timeout"),
        Report("busy", reason="unavailable"),
        Report("busy", retry_after=timedelta(seconds=3), reason="throttled"),
        Report("denied", reason="denied"),
    ]
)


class Crowd(RuleBasedStateMachine):
    """Clients that each score one frame at a time. `working` is what the endpoint has in hand, as far as anyone may
    know:
    slots of scores under way, of dead clients and of broken-off scores whose lease has not lapsed.
    """

    server: RunningValkey

    def __init__(self) -> None:
        super().__init__()
        self.server.client.flushall()
        self.flow = self.server.ledger().flow(
            "endpoint", max_in_flight=LIMIT, max_requests_per_s=1_000_000, slot_lease=LEASE
        )
        assert self.flow.fresh()
        self.under_way: dict[int, str] = {}
        self.working: set[str] = set()
        self.closed = False
        self.probe: str | None = None
        self.begun = 0

    @rule(client=CLIENTS, lane=LANES)
    def ask(self, client: int, lane: Lane) -> None:
        if client in self.under_way:
            return
        self.begun += 1
        slot = f"slot-{self.begun}"
        admission = self.flow.admit(lane, f"waiter-{client}", slot)
        assert admission.granted == (admission.wait == timedelta(0))
        if not admission.granted:
            return
        assert len(self.working) < LIMIT
        assert admission.probe == self.closed
        if admission.probe:
            assert self.probe is None
            self.probe = slot
        self.under_way[client] = slot
        self.working.add(slot)

    @rule(client=CLIENTS, end=ENDS)
    def answer(self, client: int, end: Report) -> None:
        slot = self.under_way.pop(client, None)
        if slot is None:
            return
        gate = self.flow.report(slot, end, f"frame-{client}", 0.5)
        if not end.keep_slot:
            self.working.discard(slot)
        if self.probe == slot:
            assert gate in ({"open"} if end.kind == "good" else {"closed"})
        if gate != "half-open":
            self.probe = None
        self.closed = gate != "open"

    @rule(client=CLIENTS)
    def die(self, client: int) -> None:
        """Its slot stays until it lapses."""
        self.under_way.pop(client, None)

    @rule(share=st.sampled_from([0.3, 0.6]))
    def time_goes_by(self, share: float) -> None:
        """All deadlines come nearer by a part of a lease; a client that still scores then has lost its slot."""
        by = share * LEASE_MS
        client = self.server.client
        for key in (f"{FLOW}:slots", f"{FLOW}:seen"):
            for member in client.zrange(key, 0, -1):
                client.zincrby(key, -by, member)
        known = client.hget(FLOW, "until")
        if known is not None:
            client.hset(FLOW, "until", f"{float(known) - by:.0f}")
        seconds, microseconds = client.time()
        alive = client.zrangebyscore(f"{FLOW}:slots", seconds * 1000 + microseconds / 1000, "+inf")
        self.working &= {slot.decode() for slot in alive}
        self.under_way = {client: slot for client, slot in self.under_way.items() if slot in self.working}
        if self.probe not in self.working:
            self.probe = None

    @invariant()
    def in_flight_is_what_may_be_worked_on(self) -> None:
        assert self.flow.look().in_flight == len(self.working) <= LIMIT

    def teardown(self) -> None:
        """Whatever happened, within one lease every slot is free and a score goes through."""
        self.under_way.clear()
        for _ in range(4):
            self.time_goes_by(share=0.6)
        assert self.flow.look().in_flight == 0
        first = self.flow.admit("bulk", "survivor", "slot-of-survivor")
        assert first.granted
        assert self.flow.report("slot-of-survivor", GOOD, "frame", 0.5) == "open"
        survivors = [self.flow.admit("bulk", f"survivor-{number}", f"last-{number}") for number in range(LIMIT + 1)]
        assert [one.granted for one in survivors] == [True] * LIMIT + [False]


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[RunningValkey]:
    with running_valkey() as server:
        yield server


def test_no_interleaving_exceeds_the_limit_or_leaks_a_slot(own_valkey: RunningValkey) -> None:
    Crowd.server = own_valkey
    limits = settings(max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Crowd, settings=limits)
