"""The gate: what closes it, for how long, and what opens it again."""

from datetime import timedelta

import pytest

from maskrelay.contract.records.job import Lane
from maskrelay.ledger.claims import Claim
from maskrelay.ledger.flow_control import Admission, Flow
from maskrelay.rules.endpoint_gate import (
    CANCELLED,
    GOOD,
    LONGEST,
    Report,
)
from tests.support.drivers.flows import an_endpoint, pool_of
from tests.support.drivers.ledger_jobs import BOTH, running_job
from tests.support.servers.valkeys import RunningValkey

BUSY = Report("busy", reason="unavailable")
FAILED = Report("failed", reason="scoring_failed")
DENIED = Report("denied", base=timedelta(seconds=5), cap=LONGEST, reason="denied")
MINUTE = Report("busy", retry_after=timedelta(minutes=1), reason="throttled")


@pytest.fixture
def flow(valkey: RunningValkey) -> Flow:
    flow = pool_of(valkey, an_endpoint("e", max_in_flight=9))
    flow.fresh("e")
    return flow


def ask(flow: Flow, lane: Lane, waiter: str, slot: str) -> Admission:
    return flow.admit(lane, waiter, slot, among=["e"], bytes_up=0, prompts=0, child="child")


def told(flow: Flow, report: Report, frame: str = "frame") -> str:
    """Begin a score where the gate allows it, end it so, and the gate's state then."""
    ask(flow, "bulk", "waiter", "slot")
    return flow.report("e", "slot", report, frame, 1.0)


def ripen(valkey: RunningValkey) -> None:
    """Let the pause be over."""
    valkey.client.hset("mr:flow:e", "closed_until", 1)


def probing(valkey: RunningValkey, flow: Flow) -> None:
    ripen(valkey)
    admission = ask(flow, "bulk", "prober", "probe")
    assert admission.granted
    assert admission.probe


def test_three_infrastructure_failures_in_a_row_close_the_gate(flow: Flow) -> None:
    assert [told(flow, BUSY), told(flow, BUSY), told(flow, BUSY)] == ["open", "open", "closed"]
    admission = ask(flow, "interactive", "waiter", "slot")
    assert (admission.granted, admission.why) == (False, "gate")
    state = flow.state("e")
    assert (state.gate, state.reason) == ("closed", "unavailable")
    assert timedelta(0) < state.closed_for <= timedelta(seconds=1)


def test_a_good_answer_breaks_the_row(flow: Flow) -> None:
    assert [told(flow, one) for one in (BUSY, BUSY, GOOD, BUSY, BUSY)] == ["open"] * 5


def test_three_different_frames_failing_in_a_row_close_the_gate(flow: Flow) -> None:
    assert [told(flow, FAILED, "one") for _ in range(5)] == ["open"] * 5
    assert [told(flow, FAILED, "two"), told(flow, GOOD), told(flow, FAILED, "three")] == ["open"] * 3
    assert [told(flow, FAILED, "four"), told(flow, FAILED, "five")] == ["open", "closed"]


def test_wrong_credentials_close_the_gate_at_once_with_a_reason(flow: Flow) -> None:
    assert told(flow, DENIED) == "closed"
    assert flow.state("e").reason == "denied"
    assert flow.state("e").closed_for > timedelta(seconds=1)


def test_a_retry_after_closes_the_gate_for_everyone_and_for_as_long(flow: Flow) -> None:
    for slot in ("early", "late"):
        assert ask(flow, "bulk", f"waiter of {slot}", slot).granted
    assert told(flow, MINUTE) == "closed"
    assert timedelta(seconds=55) < flow.state("e").closed_for <= timedelta(minutes=1)
    assert flow.report("e", "early", GOOD, "frame", 1.0) == "closed"
    assert flow.report("e", "late", Report("busy", retry_after=timedelta(minutes=3)), "frame", 1.0) == "closed"
    assert timedelta(minutes=2) < flow.state("e").closed_for <= timedelta(minutes=3)


def test_failures_of_scores_begun_before_it_closed_do_not_lengthen_the_pause(flow: Flow) -> None:
    slots = [f"slot-{number}" for number in range(9)]
    assert all(ask(flow, "bulk", f"waiter of {slot}", slot).granted for slot in slots)
    assert [flow.report("e", slot, BUSY, "frame", 1.0) for slot in slots][2:] == ["closed"] * 7
    assert flow.state("e").closed_for <= timedelta(seconds=1)


def test_one_probe_goes_through_a_gate_whose_pause_is_over(valkey: RunningValkey, flow: Flow) -> None:
    told(flow, DENIED)
    probing(valkey, flow)
    assert [ask(flow, "interactive", f"waiter-{number}", "slot").why for number in range(5)] == ["gate"] * 5
    assert flow.state("e").gate == "half-open"


def test_a_good_probe_opens_the_gate(valkey: RunningValkey, flow: Flow) -> None:
    told(flow, DENIED)
    probing(valkey, flow)
    assert flow.report("e", "probe", GOOD, "canary", 1.0) == "open"
    state = flow.state("e")
    assert (state.gate, state.reason, state.closed_for) == ("open", "", timedelta(0))
    assert ask(flow, "bulk", "waiter", "slot") == ask(flow, "bulk", "waiter", "slot-2")


def test_pauses_grow_with_every_failed_probe_to_five_minutes_and_begin_anew_after_a_good_one(
    valkey: RunningValkey, flow: Flow
) -> None:
    told(flow, DENIED)
    pauses = []
    for _ in range(8):
        probing(valkey, flow)
        assert flow.report("e", "probe", DENIED, "canary", 1.0) == "closed"
        pauses.append(round(flow.state("e").closed_for.total_seconds()))
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]
    assert timedelta(seconds=300) == LONGEST
    probing(valkey, flow)
    flow.report("e", "probe", GOOD, "canary", 1.0)
    told(flow, DENIED)
    assert round(flow.state("e").closed_for.total_seconds()) == 5


def test_only_the_probe_decides(valkey: RunningValkey, flow: Flow) -> None:
    assert ask(flow, "bulk", "early", "early").granted
    assert ask(flow, "bulk", "also early", "also early").granted
    told(flow, DENIED)
    probing(valkey, flow)
    assert flow.report("e", "early", GOOD, "frame", 1.0) == "half-open"
    assert flow.report("e", "also early", BUSY, "frame", 1.0) == "half-open"
    assert flow.report("e", "probe", GOOD, "canary", 1.0) == "open"


def test_a_probe_that_is_never_heard_of_is_followed_by_another(valkey: RunningValkey, flow: Flow) -> None:
    told(flow, DENIED)
    probing(valkey, flow)
    assert timedelta(seconds=110) < flow.state("e").closed_for <= timedelta(minutes=2)
    probing(valkey, flow)


def test_a_probe_that_was_broken_off_is_followed_by_another_at_once(flow: Flow, valkey: RunningValkey) -> None:
    told(flow, DENIED)
    probing(valkey, flow)
    assert flow.report("e", "probe", CANCELLED, "canary", 1.0) == "closed"
    assert ask(flow, "bulk", "other", "other").probe
    assert flow.state("e").in_flight == 2


def test_a_score_broken_off_says_nothing_of_the_endpoint(flow: Flow) -> None:
    assert [told(flow, CANCELLED) for _ in range(5)] == ["open"] * 5
    assert flow.state("e").last_good_ms == 0


def test_the_last_good_answer_is_known_by_redis_clock(valkey: RunningValkey, flow: Flow) -> None:
    told(flow, GOOD)
    assert abs(flow.state("e").last_good_ms - valkey.client.time()[0] * 1000) < 60_000


def test_no_probe_goes_while_every_slot_may_still_be_worked_on(valkey: RunningValkey) -> None:
    flow = pool_of(valkey, an_endpoint("e", max_in_flight=1))
    flow.fresh("e")
    told(flow, Report("denied", keep_slot=True))
    ripen(valkey)
    assert ask(flow, "bulk", "waiter", "slot-2").why == "slots"


def test_nothing_is_claimed_while_all_gates_are_closed(valkey: RunningValkey, flow: Flow) -> None:
    ledger = valkey.ledger()
    running_job(ledger, "job-a", 2)
    told(flow, DENIED)
    pool_of(valkey, an_endpoint("f")).fresh("f")
    taken = ledger.claims.take_if_open(0, BOTH, 1, ["e"])
    assert (taken.claim, taken.more) == (None, False)
    assert taken.closed_for["e"] > timedelta(seconds=1)
    taken = ledger.claims.take_if_open(0, BOTH, 1, ["e", "f"])
    assert isinstance(taken.claim, Claim)
    assert (taken.closed_for["e"] > timedelta(seconds=1), taken.closed_for["f"]) == (True, timedelta(0))
    ripen(valkey)
    assert ledger.claims.take_if_open(0, BOTH, 1, ["e"]).claim is not None  # the gate may be probed
