"""Several endpoints behind one admission: which is taken, who is called, and what is shown."""

from datetime import timedelta

import pytest

from maskrelay.contract.records.job import Lane
from maskrelay.ledger.flow_control import Admission, Call, Flow
from maskrelay.rules.endpoint_gate import GOOD, Report
from tests.support.drivers.flows import an_endpoint, calls_of, pool_of
from tests.support.drivers.ledger_jobs import keys_of
from tests.support.servers.valkeys import RunningValkey

DENIED = Report("denied", reason="unauthorized", base=timedelta(minutes=1), cap=timedelta(minutes=5))
NOW = timedelta(0)


@pytest.fixture
def flow(valkey: RunningValkey) -> Flow:
    flow = pool_of(valkey, an_endpoint("east", max_in_flight=4), an_endpoint("west", max_in_flight=4, weight=3))
    assert flow.fresh("east")
    assert flow.fresh("west")
    return flow


def ask(
    flow: Flow, name: str, *, lane: Lane = "bulk", among: tuple[str, ...] = ("east", "west"), child: str = "child"
) -> Admission:
    return flow.admit(lane, name, f"slot of {name}", among=among, bytes_up=0, prompts=0, child=child)


def tell(flow: Flow, endpoint: str, name: str, report: Report = GOOD) -> None:
    flow.report(endpoint, f"slot of {name}", report, "frame", 1.0)


def test_scores_spread_by_weight_and_then_over_all_that_is_free(flow: Flow) -> None:
    taken = [ask(flow, f"score-{number}").endpoint for number in range(8)]
    assert sorted(taken[:4]) == ["east", "west", "west", "west"]
    assert sorted(taken) == ["east"] * 4 + ["west"] * 4
    assert ask(flow, "another") == Admission(False, False, timedelta(milliseconds=250), "slots", "")


def test_only_an_endpoint_among_those_allowed_is_taken(flow: Flow) -> None:
    assert [ask(flow, f"score-{number}", among=("east",)).endpoint for number in range(5)] == ["east"] * 4 + [""]


def test_the_work_of_a_closed_endpoint_moves_to_the_others(flow: Flow) -> None:
    assert ask(flow, "bad", among=("west",)).granted
    tell(flow, "west", "bad", DENIED)
    assert [ask(flow, f"score-{number}").endpoint for number in range(5)] == ["east"] * 4 + [""]
    assert ask(flow, "pinned", among=("west",)).why == "gate"


def test_the_wait_and_its_reason_are_of_the_endpoint_that_is_free_first(flow: Flow) -> None:
    assert ask(flow, "bad", among=("west",)).granted
    tell(flow, "west", "bad", DENIED)
    for number in range(4):
        ask(flow, f"score-{number}", among=("east",))
    admission = ask(flow, "waiter")
    assert (admission.why, admission.wait) == ("slots", timedelta(milliseconds=250))


def test_a_bulk_frame_probes_a_closed_endpoint_and_an_interactive_one_goes_where_it_is_open(
    valkey: RunningValkey, flow: Flow
) -> None:
    assert ask(flow, "bad", among=("west",)).granted
    tell(flow, "west", "bad", DENIED)
    valkey.client.hset("mr:flow:west", "closed_until", 1)
    admission = ask(flow, "interactive", lane="interactive")
    assert (admission.endpoint, admission.probe) == ("east", False)
    admission = ask(flow, "bulk")
    assert (admission.endpoint, admission.probe) == ("west", True)
    tell(flow, "west", "bulk")
    assert flow.state("west").gate == "open"


def test_one_that_lost_its_flow_waits_alone(valkey: RunningValkey, flow: Flow) -> None:
    valkey.client.delete("mr:flow:west")
    assert [ask(flow, f"score-{number}").endpoint for number in range(5)] == ["east"] * 4 + [""]
    assert ask(flow, "pinned", among=("west",)).why == "frozen"


def test_who_goes_leaves_every_line(valkey: RunningValkey, flow: Flow) -> None:
    for number in range(8):
        ask(flow, f"score-{number}")
    assert not ask(flow, "waiter").granted
    tell(flow, "east", "score-0")
    tell(flow, "west", "score-0")
    assert ask(flow, "waiter").granted
    assert keys_of(valkey, "mr:flow:*:waiters:*") == set()


def test_a_freed_slot_is_granted_to_the_first_in_line_and_its_child_is_called(flow: Flow) -> None:
    for number in range(4):
        ask(flow, f"score-{number}", among=("east",))
    for name, child in (("first", "north"), ("second", "south")):
        assert not ask(flow, name, among=("east",), child=child).granted
    assert calls_of(flow, "north") == []
    tell(flow, "east", "score-0")
    assert (calls_of(flow, "north"), calls_of(flow, "south")) == ([Call("first", "east")], [])
    tell(flow, "east", "score-1")
    assert (calls_of(flow, "north"), calls_of(flow, "south")) == ([], [Call("second", "east")])
    assert flow.state("east").in_flight == 4


def test_a_slot_is_granted_to_who_waits_while_its_answer_is_read(flow: Flow) -> None:
    taken = [ask(flow, f"score-{number}", among=("east",)) for number in range(5)]
    assert [admission.full for admission in taken] == [False, False, False, True, False]
    flow.release("east", "slot of score-0", 1_400_000)
    assert calls_of(flow, "child") == [Call("score-4", "east")]
    assert flow.state("east").in_flight == 4


def test_when_two_slots_become_free_at_once_the_second_in_line_is_called_to_ask(
    valkey: RunningValkey, flow: Flow
) -> None:
    """Requests are spaced, so it could not begin at the same moment."""
    for number in range(4):
        ask(flow, f"score-{number}", among=("east",))
    for name in ("first", "second", "third"):
        ask(flow, name, among=("east",))
    valkey.client.zadd("mr:flow:east:slots", {"slot of score-1": 1})  # it has lapsed
    tell(flow, "east", "score-0")
    assert calls_of(flow, "child") == [Call("first", "east"), Call("second")]
    assert ask(flow, "second", among=("east",)).granted


def test_who_waits_at_two_endpoints_is_granted_a_slot_at_the_first_that_has_one(flow: Flow) -> None:
    for number in range(8):
        assert ask(flow, f"score-{number}").granted
    assert not ask(flow, "waiter").granted
    west = next(number for number in range(8) if ask(flow, f"score-{number}").endpoint == "west")
    tell(flow, "west", f"score-{west}")
    assert calls_of(flow, "child") == [Call("waiter", "west")]
    tell(flow, "east", "score-0")
    assert calls_of(flow, "child") == []


def test_interactive_is_granted_before_bulk(flow: Flow) -> None:
    for number in range(4):
        ask(flow, f"score-{number}", among=("east",))
    ask(flow, "bulk", among=("east",), child="b")
    ask(flow, "interactive", lane="interactive", among=("east",), child="i")
    tell(flow, "east", "score-0")
    assert (calls_of(flow, "i"), calls_of(flow, "b")) == ([Call("interactive", "east")], [])


def test_who_must_wait_for_tokens_is_called_to_ask_how_long(valkey: RunningValkey) -> None:
    flow = pool_of(valkey, an_endpoint("slow", max_in_flight=1, max_requests_per_s=1))
    flow.fresh("slow")
    assert ask(flow, "score", among=("slow",)).granted
    assert ask(flow, "waiter", among=("slow",)).why == "slots"
    tell(flow, "slow", "score")
    assert calls_of(flow, "child") == [Call("waiter")]
    assert ask(flow, "waiter", among=("slow",)).why == "rate"


def test_calls_that_nobody_hears_are_forgotten(valkey: RunningValkey, flow: Flow) -> None:
    for number in range(5):
        ask(flow, f"score-{number}", among=("east",))
    tell(flow, "east", "score-0")
    assert 0 < valkey.client.pttl("mr:calls:child") <= 3000


def test_who_stands_far_back_asks_less_often(flow: Flow) -> None:
    waits = [ask(flow, f"score-{number}", among=("east",)).wait for number in range(4, 64)]
    assert waits[:4] == [NOW] * 4
    assert waits[4:] == sorted(waits[4:])
    assert set(waits[4:8]) == {timedelta(milliseconds=250)}
    assert waits[-1] == timedelta(seconds=2)


def test_the_document_shows_what_holds_a_run_back(valkey: RunningValkey, flow: Flow) -> None:
    for number in range(4):
        ask(flow, f"score-{number}", among=("east",))
    ask(flow, "one", among=("east",))
    ask(flow, "two", lane="interactive", among=("east",))
    tell(flow, "east", "score-0", DENIED)
    tell(flow, "east", "score-1", Report("failed", reason="scoring_failed"))
    tell(flow, "east", "score-2", Report("busy", reason="pending", overload="pending"))
    east, west = flow.document()
    assert (east["name"], east["gate"], east["reason"]) == ("east", "closed", "unauthorized")
    assert 0 < east["closed_for_s"] <= 60
    assert (east["limit"], east["max_in_flight"], east["in_flight"]) == (2, 4, 1)
    assert east["waiting"] == {"interactive": 1, "bulk": 1}
    assert east["errors"] == {"scoring_failed": 1, "pending": 1, "unauthorized": 1}
    assert (west["name"], west["gate"], west["errors"], west["weight"]) == ("west", "open", {}, 3)
    assert west["tokens"] == {"requests_per_s": 1e6, "bytes_per_s": 1e12, "bytes_per_s_learnt": 1e12}
    assert (west["bytes_per_prompt"], west["model_version"]) == (1_400_000, "1")


def test_errors_are_kept_for_minutes_only(valkey: RunningValkey, flow: Flow) -> None:
    assert ask(flow, "bad", among=("east",)).granted
    tell(flow, "east", "bad", Report("failed", reason="scoring_failed"))
    (bucket,) = keys_of(valkey, "mr:flow:east:errors:*")
    assert 0 < valkey.client.ttl(bucket) <= 360


def test_new_settings_hold_at_once(valkey: RunningValkey, flow: Flow) -> None:
    assert ask(flow, "first").granted
    wider = pool_of(valkey, an_endpoint("east", max_in_flight=9))
    assert wider.document()[0]["limit"] == 9
    narrower = pool_of(valkey, an_endpoint("east", max_in_flight=1))
    assert narrower.document()[0]["limit"] == 1
