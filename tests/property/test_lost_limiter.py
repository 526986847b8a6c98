"""Redis is lost again and again while scores are under way: the endpoint never has more than its limit."""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from maskrelay.rules.endpoint_gate import CANCELLED, GOOD
from maskrelay.storage.file_store import FileStorage
from tests.support.drivers.flows import an_endpoint, pool_of
from tests.support.servers.valkeys import RunningValkey, running_valkey
from worker.context.slot_inventory import SlotReporter, Slots

LEASE = timedelta(minutes=2)
LIMIT = 3
CHILDREN = st.integers(0, 2)


class Fleet(RuleBasedStateMachine):
    """Three children over one endpoint. `working`: what the endpoint works on, whatever Redis says."""

    server: RunningValkey

    def __init__(self) -> None:
        super().__init__()
        self.server.client.flushall()
        self.folder = tempfile.TemporaryDirectory()
        self.storage = FileStorage(Path(self.folder.name))
        self.flow = pool_of(self.server, an_endpoint("e", max_in_flight=LIMIT), slot_lease=LEASE)
        self.working: set[str] = set()
        self.own: list[list[str]] = []
        self.slots: list[Slots] = []
        self.senders: list[SlotReporter] = []
        for _ in range(3):
            self.start(None)
        assert self.flow.fresh("e")

    def start(self, place: int | None) -> None:
        slots = Slots(LEASE)
        sender = SlotReporter(self.storage, self.server.ledger().slot_reports, self.flow, ["e"], slots)
        sender.mark()
        if place is None:
            self.slots.append(slots)
            self.senders.append(sender)
            self.own.append([])
        else:
            self.slots[place], self.senders[place], self.own[place] = slots, sender, []

    @rule(child=CHILDREN, arrives=st.booleans())
    def score(self, child: int, arrives: bool) -> None:
        """Ask for one score, and begin it if the grant arrives."""
        slot = self.slots[child].begin()
        asked = {"among": ["e"], "bytes_up": 1000, "prompts": 0, "child": self.slots[child].child}
        granted = self.flow.admit("bulk", "w", slot, **asked).granted
        if not granted:
            self.flow.withdraw("w", slot, among=["e"], child=self.slots[child].child)
        if not granted or not arrives:
            self.slots[child].end(slot)
            return
        self.slots[child].grant(slot, "e")
        self.own[child].append(slot)
        self.working.add(slot)

    @rule(child=CHILDREN, kept=st.booleans(), told=st.booleans())
    def end(self, child: int, kept: bool, told: bool) -> None:
        """The oldest score of a child ends. kept: the endpoint may work on. told: Redis hears it."""
        if not self.own[child]:
            return
        slot = self.own[child].pop(0)
        if told:
            self.flow.report("e", slot, CANCELLED if kept else GOOD, "frame", 0.5)
        self.slots[child].end(slot, keep=kept)
        if not kept:
            self.working.discard(slot)

    @rule(child=CHILDREN)
    def die(self, child: int) -> None:
        """The endpoint works on what the child had sent."""
        self.start(child)

    @rule(child=CHILDREN)
    def restart(self, child: int) -> None:
        """As after a roll-out: an orderly end once its scores are over."""
        while self.own[child]:
            self.end(child, kept=False, told=True)
        self.senders[child].close()
        self.start(child)

    @rule(child=CHILDREN)
    def report(self, child: int) -> None:
        self.senders[child].report()

    @rule(whole=st.booleans())
    def lose_redis(self, whole: bool) -> None:
        if whole:
            self.server.client.flushall()
        else:
            self.server.client.hset("mr:flow:e", "run_id", "another")

    @invariant()
    def no_more_than_the_limit_is_in_flight(self) -> None:
        assert len(self.working) <= LIMIT

    def teardown(self) -> None:
        """Where every child that ever sent lives, all can report, and scores begin again."""
        for child in range(3):
            while self.own[child]:
                self.end(child, kept=False, told=False)
        self.server.client.flushall()
        marked = len(list(self.storage.list("senders/")))
        for _ in range(2):
            for sender in self.senders:
                sender.report()
        frozen = self.flow.state("e").gate == "frozen"
        assert frozen == (marked > 3)
        self.folder.cleanup()


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[RunningValkey]:
    with running_valkey() as server:
        yield server


@pytest.mark.slow_subject("ledger-models")
def test_a_lost_redis_never_lets_more_in_flight_than_the_limit(own_valkey: RunningValkey) -> None:
    Fleet.server = own_valkey
    limits = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Fleet, settings=limits)
