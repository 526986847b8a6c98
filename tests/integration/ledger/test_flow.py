"""Flow control of one endpoint: slots, spacing, lanes and waiters, over all workers."""

from datetime import timedelta

import pytest

from maskrelay.contract.records.job import Lane
from maskrelay.ledger.flow_control import Admission, Call, Flow
from maskrelay.rules.endpoint_gate import CANCELLED, GOOD, Report
from tests.support.drivers.flows import an_endpoint, calls_of, pool_of
from tests.support.drivers.ledger_jobs import keys_of
from tests.support.servers.valkeys import RunningValkey

KEPT = Report("busy", keep_slot=True)


def flow_of(valkey: RunningValkey, limit: int = 2, per_s: float = 1_000_000, *, fresh: bool = True) -> Flow:
    flow = pool_of(valkey, an_endpoint("endpoint", max_in_flight=limit, max_requests_per_s=per_s))
    if fresh:
        flow.fresh("endpoint")
    return flow


def ask(flow: Flow, waiter: str, slot: str, lane: Lane = "bulk", endpoint: str = "endpoint") -> Admission:
    return flow.admit(lane, waiter, slot, among=[endpoint], bytes_up=0, prompts=0, child="child")


def tell(flow: Flow, slot: str, report: Report = GOOD) -> None:
    flow.report("endpoint", slot, report, "frame", 0.5)


def granted(flow: Flow, slot: str, lane: Lane = "bulk") -> bool:
    return ask(flow, f"waiter of {slot}", slot, lane).granted


def why(flow: Flow, waiter: str, lane: Lane = "bulk") -> str:
    admission = ask(flow, waiter, f"slot of {waiter}", lane)
    return "granted" if admission.granted else admission.why


def test_no_more_than_the_limit_is_ever_in_flight(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=3)
    assert [granted(flow, f"slot-{number}") for number in range(5)] == [True, True, True, False, False]
    assert flow.state("endpoint").in_flight == 3
    assert why(flow, "another") == "slots"


def test_an_answer_frees_its_slot(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=1)
    assert granted(flow, "slot-1")
    tell(flow, "slot-1")
    assert granted(flow, "slot-2")
    tell(flow, "slot-2", Report("failed"))
    assert flow.state("endpoint").in_flight == 0


@pytest.mark.parametrize("report", [KEPT, CANCELLED])
def test_a_slot_whose_score_may_still_be_worked_on_is_kept_until_it_lapses(
    valkey: RunningValkey, report: Report
) -> None:
    flow = flow_of(valkey, limit=1)
    granted(flow, "slot-1")
    tell(flow, "slot-1", report)
    assert not granted(flow, "slot-2")
    lapse(valkey, "slot-1")
    assert flow.state("endpoint").in_flight == 0
    assert granted(flow, "slot-2")


def test_the_slot_of_a_dead_worker_is_free_again_after_its_lease(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=1)
    granted(flow, "slot-1")
    deadline = float(valkey.client.zscore("mr:flow:endpoint:slots", "slot-1") or 0)
    assert 0 < deadline - now_ms(valkey) <= 120_000
    lapse(valkey, "slot-1")
    assert granted(flow, "slot-2")


def test_scores_begin_no_faster_than_asked(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=10, per_s=4)
    assert granted(flow, "slot-1")
    admission = ask(flow, "waiter", "slot-2")
    assert (admission.granted, admission.why) == (False, "rate")
    assert timedelta(0) < admission.wait <= timedelta(milliseconds=250)
    valkey.client.hincrbyfloat("mr:flow:endpoint", "next_at", -250)
    assert ask(flow, "waiter", "slot-2").granted
    assert not granted(flow, "slot-3")


def test_a_slow_rate_tells_nobody_to_stay_away_so_long_that_it_loses_its_place(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=10, per_s=0.01)
    assert granted(flow, "slot-1")
    admission = ask(flow, "waiter", "slot-2")
    assert (admission.why, admission.wait) == ("rate", timedelta(seconds=2))


def test_unused_time_is_not_saved_up_for_a_burst(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=10, per_s=1)
    granted(flow, "slot-1")
    valkey.client.hset("mr:flow:endpoint", "next_at", 1)
    assert [granted(flow, f"slot-{number}") for number in (2, 3)] == [True, False]


def test_nothing_is_granted_for_one_slot_lease_when_the_flow_state_is_lost(valkey: RunningValkey) -> None:
    flow = flow_of(valkey)
    assert granted(flow, "slot-1")
    valkey.client.flushall()
    admission = ask(flow, "waiter", "slot-2")
    assert (admission.granted, admission.why) == (False, "frozen")
    assert timedelta(seconds=110) < admission.wait <= timedelta(minutes=2)
    assert flow.state("endpoint").gate == "frozen"
    assert flow.state("endpoint").closed_for > timedelta(seconds=110)
    valkey.client.hset("mr:flow:endpoint", mapping={"frozen": 1, "next_at": 1, "bytes_at": 1})
    assert ask(flow, "waiter", "slot-2").granted


def test_nothing_is_granted_when_the_flow_state_is_of_another_run(valkey: RunningValkey) -> None:
    flow = flow_of(valkey)
    valkey.client.hset("mr:flow:endpoint", "run_id", "that of another server")
    assert why(flow, "waiter") == "frozen"
    assert not flow.fresh("endpoint")
    assert why(flow, "waiter") == "frozen"


def test_the_very_first_score_need_not_wait(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, fresh=False)
    assert flow.is_new("endpoint")
    assert flow.fresh("endpoint")
    assert not flow.is_new("endpoint")
    assert not flow.fresh("endpoint")
    assert granted(flow, "slot-1")


def test_looking_changes_nothing(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, fresh=False)
    state = flow.state("endpoint")
    assert (state.gate, state.in_flight, state.last_good_ms) == ("open", 0, 0)
    assert keys_of(valkey) == set()


def test_a_lane_is_served_in_order_of_arrival(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=1)
    granted(flow, "slot-1")
    assert [why(flow, name) for name in ("first", "second")] == ["slots", "slots"]
    tell(flow, "slot-1")
    assert [why(flow, name) for name in ("second", "first")] == ["slots", "granted"]
    tell(flow, "slot of first")
    assert why(flow, "second") == "granted"


def test_bulk_yields_to_a_waiting_interactive_frame(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=1)
    granted(flow, "slot-1")
    assert why(flow, "bulk") == "slots"
    assert why(flow, "interactive", "interactive") == "slots"
    tell(flow, "slot-1")
    assert why(flow, "bulk") == "slots"
    assert why(flow, "interactive", "interactive") == "granted"


def test_interactive_takes_at_most_seven_of_eight_while_bulk_waits(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=1)
    assert granted(flow, "slot of first")
    waiting: dict[Lane, str] = {"bulk": "bulk 0", "interactive": "interactive 0"}
    taken, served = "first", []
    for turn in range(24):
        assert [why(flow, name, lane) for lane, name in waiting.items()] == ["slots", "slots"]
        tell(flow, f"slot of {taken}")
        (call,) = calls_of(flow, "child")
        taken = call.waiter
        (lane,) = (lane for lane, name in waiting.items() if name == taken)
        waiting[lane] = f"{lane} {turn + 1}"
        served.append(lane)
    assert served == [*["interactive"] * 7, "bulk"] * 3


def test_a_waiter_that_is_not_heard_of_is_forgotten(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=1)
    granted(flow, "slot-1")
    assert why(flow, "dead", "interactive") == "slots"
    assert why(flow, "bulk") == "slots"
    valkey.client.zadd("mr:flow:endpoint:seen", {"child:dead": 1})
    tell(flow, "slot-1")
    assert calls_of(flow, "child") == [Call("bulk", "endpoint")]
    assert keys_of(valkey, "mr:flow:endpoint:waiters:*") == set()
    assert keys_of(valkey, "mr:flow:endpoint:requests") == set()


def test_a_waiter_that_lost_its_call_is_told_of_its_slot_when_it_asks_again(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=1)
    granted(flow, "slot-1")
    assert why(flow, "waiter") == "slots"
    tell(flow, "slot-1")
    valkey.client.delete("mr:calls:child")
    valkey.client.zadd("mr:flow:endpoint:slots", {"slot of waiter": now_ms(valkey) + 1000})
    assert why(flow, "waiter") == "granted"
    assert flow.state("endpoint").in_flight == 1
    deadline = float(valkey.client.zscore("mr:flow:endpoint:slots", "slot of waiter") or 0)
    assert deadline > now_ms(valkey) + 100_000  # its lease begins when it is told


def test_who_withdraws_is_granted_nothing_and_gives_back_what_was_granted(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=1)
    granted(flow, "slot-1")
    for waiter in ("first", "second", "third"):
        assert why(flow, waiter) == "slots"
    withdraw(flow, "first")
    tell(flow, "slot-1")
    assert calls_of(flow, "child") == [Call("second", "endpoint")]
    withdraw(flow, "second")
    assert calls_of(flow, "child") == [Call("third", "endpoint")]
    assert flow.state("endpoint").in_flight == 1
    withdraw(flow, "third")
    assert flow.state("endpoint").in_flight == 0
    assert keys_of(valkey, "mr:flow:endpoint:*") <= {"mr:flow:endpoint:failing"}


def test_a_slot_that_is_free_grants_nothing_under_another_run_of_redis(valkey: RunningValkey) -> None:
    """Until a waiter asks, and finds that nothing may be granted."""
    flow = flow_of(valkey, limit=1)
    granted(flow, "slot-1")
    assert why(flow, "waiter") == "slots"
    valkey.client.hset("mr:flow:endpoint", "run_id", "that of another server")
    tell(flow, "slot-1")
    assert calls_of(flow, "child") == [Call("waiter")]
    assert why(flow, "waiter") == "frozen"


def test_an_answer_that_is_not_read_yet_frees_its_slot_and_counts_once_it_is(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=1)
    for slot in ("slot-1", "slot-2", "slot-3"):
        assert granted(flow, slot)
        released = flow.release("endpoint", slot, 1000)
        assert (flow.state("endpoint").in_flight, flow.state("endpoint").gate) == (0, "open")
        flow.report(
            "endpoint", slot, Report("failed", reason="answer_invalid"), f"frame of {slot}", 0.5, None, released
        )
    assert (flow.state("endpoint").in_flight, flow.state("endpoint").gate) == (0, "closed")
    assert flow.document()[0]["errors"] == {"answer_invalid": 3}
    assert flow.state("endpoint").last_good_ms == 0


def test_endpoints_do_not_share_slots(valkey: RunningValkey) -> None:
    flow = flow_of(valkey, limit=1)
    assert granted(flow, "slot-1")
    other = pool_of(valkey, an_endpoint("other", max_in_flight=1))
    assert other.fresh("other")
    assert ask(other, "waiter", "slot-1", endpoint="other").granted


def withdraw(flow: Flow, waiter: str) -> None:
    flow.withdraw(waiter, f"slot of {waiter}", among=["endpoint"], child="child")


def now_ms(valkey: RunningValkey) -> float:
    seconds, microseconds = valkey.client.time()
    return float(seconds * 1000 + microseconds / 1000)


def lapse(valkey: RunningValkey, slot: str) -> None:
    assert valkey.client.zadd("mr:flow:endpoint:slots", {slot: 1}, xx=True, ch=True) == 1
