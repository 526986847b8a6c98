"""The limit in flight: what lets it grow, what cuts it, and that it finds what an endpoint bears."""

import pytest

from maskrelay.ledger.flow_control import Flow
from maskrelay.rules.endpoint_gate import GOOD, Overload, Report
from tests.support.drivers.flows import an_endpoint, pool_of
from tests.support.servers.valkeys import RunningValkey

PENDING = Report("busy", reason="pending", overload="pending")
SLOW = Report("busy", reason="unavailable", overload="slow")


class Rounds:
    """Scores take every slot there is; then the endpoint refuses what it does not bear, and answers the rest."""

    def __init__(self, valkey: RunningValkey, *, start: int, most: int) -> None:
        self.valkey = valkey
        self.flow = pool_of(valkey, an_endpoint("e", max_in_flight=most, concurrency=start))
        self.flow.fresh("e")
        self.asked = 0

    @property
    def limit(self) -> int:
        return int(self.flow.document()[0]["limit"])

    def fill(self) -> list[str]:
        """Begin as many as may begin; one more waits."""
        begun: list[str] = []
        while True:
            slot = f"slot-{self.asked}"  # the one that waited before asks again
            asked = {"among": ["e"], "bytes_up": 0, "prompts": 0, "child": "child"}
            if not self.flow.admit("bulk", "waiter", slot, **asked).granted:
                return begun
            self.asked += 1
            begun.append(slot)

    def round(self, bears: int) -> int:
        """How many were refused."""
        begun = self.fill()
        for slot in begun[bears:]:
            self.tell(slot, PENDING)
        for slot in begun[:bears]:
            self.tell(slot, GOOD)
        return len(begun[bears:])

    def tell(self, slot: str, report: Report) -> None:
        self.flow.report("e", slot, report, "frame", 0.5)

    def let_it_look_again(self) -> None:
        self.valkey.client.hset("mr:flow:e", "probe_at", 0)


def test_it_begins_where_the_deployment_says_and_never_passes_the_cap(valkey: RunningValkey) -> None:
    rounds = Rounds(valkey, start=2, most=6)
    assert rounds.limit == 2
    for _ in range(20):
        rounds.round(bears=100)
    assert rounds.limit == 6


def test_it_does_not_grow_while_nobody_wants_more(valkey: RunningValkey) -> None:
    rounds = Rounds(valkey, start=4, most=20)
    asked = {"among": ["e"], "bytes_up": 0, "prompts": 0, "child": "child"}
    for number in range(20):
        assert rounds.flow.admit("bulk", "waiter", f"slot-{number}", **asked).granted
        rounds.tell(f"slot-{number}", GOOD)
    assert rounds.limit == 4


@pytest.mark.parametrize("start", [4, 64])
def test_it_finds_what_the_endpoint_bears_from_far_below_and_far_above(valkey: RunningValkey, start: int) -> None:
    rounds = Rounds(valkey, start=start, most=128)
    for _ in range(12):
        rounds.round(bears=16)
    assert rounds.limit == 16
    assert sum(rounds.round(bears=16) for _ in range(10)) == 0


def test_a_look_above_that_fails_costs_one_refusal_and_makes_the_next_later(valkey: RunningValkey) -> None:
    rounds = Rounds(valkey, start=64, most=128)
    for _ in range(4):
        rounds.round(bears=16)
    gaps = []
    for _ in range(5):
        rounds.let_it_look_again()
        assert rounds.round(bears=16) == 0
        assert rounds.limit == 17
        assert rounds.round(bears=16) == 1
        assert rounds.limit == 16
        gaps.append(float(valkey.client.hget("mr:flow:e", "gap") or 0))
    assert gaps == sorted(gaps)
    assert gaps[-1] == 30_000


def test_capacity_that_grows_is_found_by_looks_that_double(valkey: RunningValkey) -> None:
    rounds = Rounds(valkey, start=16, most=256)
    for _ in range(4):
        rounds.round(bears=8)
    assert rounds.limit == 8
    rounds.let_it_look_again()
    for _ in range(60):
        rounds.round(bears=32)
    assert 29 <= rounds.limit <= 32


def test_capacity_that_falls_is_followed_at_once(valkey: RunningValkey) -> None:
    rounds = Rounds(valkey, start=16, most=16)
    rounds.round(bears=16)
    for _ in range(3):
        rounds.round(bears=4)
    assert rounds.limit == 4


@pytest.mark.parametrize(("overload", "after"), [("slow", 7), ("pending", 9)])
def test_there_is_one_cut_a_round_trip(valkey: RunningValkey, overload: Overload, after: int) -> None:
    rounds = Rounds(valkey, start=10, most=10)
    begun = rounds.fill()
    for slot in reversed(begun):
        rounds.tell(slot, Report("busy", reason="overload", overload=overload))
    assert rounds.limit == after


def test_an_overload_that_names_no_number_leaves_it_just_below(valkey: RunningValkey) -> None:
    rounds = Rounds(valkey, start=10, most=10)
    slots = rounds.fill()
    rounds.tell(slots[0], SLOW)
    assert rounds.limit == 7
    for slot in slots[1:]:
        rounds.tell(slot, GOOD)
    for _ in range(4):
        rounds.round(bears=10)
    assert rounds.limit == 9


def test_refusals_that_a_lower_limit_answers_do_not_close_the_gate(valkey: RunningValkey) -> None:
    rounds = Rounds(valkey, start=16, most=16)
    assert rounds.round(bears=4) == 12
    assert rounds.flow.state("e").gate == "open"


def test_an_endpoint_that_refuses_even_one_is_closed(valkey: RunningValkey) -> None:
    rounds = Rounds(valkey, start=16, most=16)
    for _ in range(10):
        rounds.round(bears=0)
    assert rounds.limit == 1
    assert rounds.flow.state("e").gate == "closed"
    assert rounds.flow.state("e").reason == "pending"


def test_more_requests_a_second_than_are_taken_slow_the_requests_and_not_the_limit(valkey: RunningValkey) -> None:
    flow = pool_of(valkey, an_endpoint("e", max_in_flight=50, max_requests_per_s=500))
    flow.fresh("e")
    _begin(flow, "slot")
    flow.report("e", "slot", Report("busy", reason="rate", overload="rate"), "frame", 0.5)
    shown = flow.document()[0]
    assert (shown["limit"], shown["gate"]) == (50, "open")
    assert 1 <= shown["tokens"]["requests_per_s"] < 400
    valkey.client.hincrbyfloat("mr:flow:e", "slowed_at", -600_000)
    assert flow.document()[0]["tokens"]["requests_per_s"] == 500


def _begin(flow: Flow, slot: str) -> None:
    assert flow.admit("bulk", f"waiter of {slot}", slot, among=["e"], bytes_up=0, prompts=0, child="child").granted
