"""After a loss of Redis scores begin again once every child has said what it has in flight, and never too many."""

from datetime import timedelta
from pathlib import Path

import pytest

from maskrelay.contract.records import keys
from maskrelay.ledger.flow_control import Flow
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.protocol import Storage, has
from tests.support.drivers.flows import an_endpoint, pool_of
from tests.support.servers.valkeys import RunningValkey
from worker.context.slot_inventory import SlotReporter, Slots, forget_silent

LEASE = timedelta(minutes=2)
LIMIT = 3


class Child:
    """A segment child, as far as slots go."""

    def __init__(self, valkey: RunningValkey, storage: Storage) -> None:
        self.flow = pool_of(valkey, an_endpoint("endpoint", max_in_flight=LIMIT), slot_lease=LEASE)
        self.slots = Slots(LEASE)
        self.sender = SlotReporter(storage, valkey.ledger().slot_reports, self.flow, ["endpoint"], self.slots)
        self.sender.mark()

    def score(self) -> str:
        """The slot of a score that begins now, "" where none may."""
        slot = self.slots.begin()
        if not self.ask(slot):
            self.flow.withdraw("waiter", slot, among=["endpoint"], child=self.slots.child)
            self.slots.end(slot)
            return ""
        self.slots.grant(slot, "endpoint")
        return slot

    def ask(self, slot: str) -> bool:
        size = {"bytes_up": 1000, "prompts": 0, "child": self.slots.child}
        return self.flow.admit("bulk", "waiter", slot, among=["endpoint"], **size).granted

    def scores(self) -> int:
        """As many as may begin now."""
        return len([slot for slot in iter(self.score, "") if slot])


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return FileStorage(tmp_path)


@pytest.fixture
def children(valkey: RunningValkey, storage: Storage) -> list[Child]:
    children = [Child(valkey, storage), Child(valkey, storage)]
    children[0].flow.fresh("endpoint")
    return children


def gate(flow: Flow) -> str:
    return flow.state("endpoint").gate


def test_scores_begin_again_when_every_child_has_reported(valkey: RunningValkey, children: list[Child]) -> None:
    one, other = children
    assert one.score()
    assert other.score()
    valkey.client.flushall()
    assert not one.score()
    one.sender.report()
    assert gate(one.flow) == "frozen"
    assert not one.score()
    other.sender.report()
    assert gate(one.flow) == "open"
    assert one.flow.state("endpoint").in_flight == 2  # nothing that is under way is forgotten
    assert one.scores() + other.scores() == LIMIT - 2


def test_a_restart_that_keeps_the_data_is_the_same(valkey: RunningValkey, children: list[Child]) -> None:
    one, other = children
    assert one.score()
    valkey.client.hset("mr:flow:endpoint", "run_id", "that of another server")
    assert not other.score()
    for child in (other, one):
        child.sender.report()
    assert (gate(one.flow), one.flow.state("endpoint").in_flight) == ("open", 1)


def test_a_child_that_does_not_report_is_waited_for(valkey: RunningValkey, children: list[Child]) -> None:
    one, dead = children
    assert dead.score()
    valkey.client.flushall()
    for _ in range(3):
        one.sender.report()
    assert gate(one.flow) == "frozen"
    assert one.flow.state("endpoint").closed_for > LEASE - timedelta(seconds=20)


def test_a_report_of_before_another_loss_counts_for_nothing(valkey: RunningValkey, children: list[Child]) -> None:
    one, other = children
    held = other.score()
    valkey.client.flushall()
    other.sender.report()
    valkey.client.flushall()
    one.sender.report()
    assert gate(one.flow) == "frozen"
    other.sender.report()
    assert gate(one.flow) == "open"
    assert valkey.client.zrange("mr:flow:endpoint:slots", 0, -1) == [held.encode()]


def test_a_slot_that_a_child_gave_up_in_the_dark_is_kept_until_its_lease_is_over(
    valkey: RunningValkey, children: list[Child]
) -> None:
    one, other = children
    one.slots.end(one.score(), keep=True)  # the endpoint may still be working on it
    valkey.client.flushall()
    for child in (one, other, one):
        child.sender.report()
    assert (gate(one.flow), one.flow.state("endpoint").in_flight) == ("open", 1)


def test_slots_whose_grant_or_end_was_lost_on_the_way_are_free_at_the_next_report(
    valkey: RunningValkey, children: list[Child]
) -> None:
    one, other = children
    ended, lost, kept = one.score(), one.slots.begin(), other.score()
    assert one.ask(lost)  # and the answer does not arrive
    one.slots.end(lost)
    one.slots.end(ended)
    one.sender.report()
    assert valkey.client.zrange("mr:flow:endpoint:slots", 0, -1) == [kept.encode()]


def test_a_slot_that_is_just_being_asked_for_stays(valkey: RunningValkey, children: list[Child]) -> None:
    one, _ = children
    slot = one.slots.begin()
    assert one.ask(slot)
    one.sender.report()
    assert valkey.client.zrange("mr:flow:endpoint:slots", 0, -1) == [slot.encode()]


def test_a_child_of_other_endpoints_is_not_waited_for(
    valkey: RunningValkey, storage: Storage, children: list[Child]
) -> None:
    storage.put(keys.sender("f" * 16), b'{"endpoints": ["elsewhere"]}')
    valkey.client.flushall()
    for child in (*children, children[0]):
        child.sender.report()
    assert gate(children[0].flow) == "open"
    storage.put(keys.sender("e" * 16), b"not a marker")
    valkey.client.flushall()
    for child in (*children, children[0]):
        child.sender.report()
    assert gate(children[0].flow) == "frozen"


def test_a_child_that_ends_leaves_no_marker_unless_the_endpoint_may_still_be_working_for_it(
    storage: Storage, children: list[Child]
) -> None:
    one, other = children
    other.slots.end(other.score(), keep=True)
    for child in children:
        child.sender.close()
    assert not has(storage, keys.sender(one.slots.child))
    assert has(storage, keys.sender(other.slots.child))


def test_markers_of_children_that_are_not_heard_of_are_removed(
    valkey: RunningValkey, storage: Storage, children: list[Child]
) -> None:
    one, dead = children
    one.sender.report()
    senders, silence = valkey.ledger().slot_reports, timedelta(minutes=20)
    assert forget_silent(storage, senders, silence) == 0  # the other is seen for the first time
    valkey.client.zincrby("mr:senders", -silence.total_seconds() * 1000 - 1, dead.slots.child)
    assert forget_silent(storage, senders, silence) == 1
    assert has(storage, keys.sender(one.slots.child))
    assert not has(storage, keys.sender(dead.slots.child))
