"""Byte tokens: taken by estimate, corrected by what came, learnt from how bodies travel."""

from datetime import timedelta
from itertools import pairwise

import pytest

from maskrelay.ledger.flow_control import Admission, Flow, Transfer
from maskrelay.rules.endpoint_gate import GOOD, Report
from tests.support.drivers.flows import an_endpoint, pool_of
from tests.support.servers.valkeys import RunningValkey

FLOW = "mr:flow:e"
UP, DOWN = 600_000, 1_400_000
#: Tokens flow in a little more slowly than the limit.
RATE = 0.995e5


@pytest.fixture
def flow(valkey: RunningValkey) -> Flow:
    flow = pool_of(valkey, an_endpoint("e", max_in_flight=50, max_bytes_per_s=1e5))
    flow.fresh("e")
    return flow


def ask(flow: Flow, slot: str, prompts: int = 1) -> Admission:
    return flow.admit("bulk", f"waiter of {slot}", slot, among=["e"], bytes_up=UP, prompts=prompts, child="child")


def tell(flow: Flow, slot: str, *, down: int = DOWN, body_seconds: float = 0.1, report: Report = GOOD) -> None:
    moved = Transfer(UP, down, 1, 2.0, body_seconds) if report is GOOD else None
    flow.report("e", slot, report, "frame", 0.5, moved)


def ready_at(valkey: RunningValkey) -> float:
    """When there are byte tokens again, in seconds by Redis' clock."""
    return float(valkey.client.hget(FLOW, "bytes_at") or 0) / 1000


def clock(valkey: RunningValkey) -> float:
    seconds, microseconds = valkey.client.time()
    return seconds + microseconds / 1e6


def learnt(flow: Flow) -> float:
    return float(flow.document()[0]["tokens"]["bytes_per_s_learnt"])


def test_the_next_score_waits_until_request_and_answer_have_had_their_time(valkey: RunningValkey, flow: Flow) -> None:
    began = clock(valkey)
    assert ask(flow, "first").granted
    wait = (UP + DOWN) / RATE
    assert began + wait - 0.1 <= ready_at(valkey) <= clock(valkey) + wait
    admission = ask(flow, "second")
    assert (admission.why, admission.wait) == ("bytes", timedelta(seconds=2))
    valkey.client.hincrbyfloat(FLOW, "bytes_at", -1000 * wait)
    assert ask(flow, "second").granted


def test_more_prompts_weigh_more(valkey: RunningValkey, flow: Flow) -> None:
    began = clock(valkey)
    assert ask(flow, "first", prompts=3).granted
    wait = (UP + 3 * DOWN) / RATE
    assert began + wait - 0.1 <= ready_at(valkey) <= clock(valkey) + wait


def test_a_score_of_a_mixed_pool_weighs_what_its_endpoint_gets(valkey: RunningValkey) -> None:
    flow = pool_of(valkey, *(an_endpoint(name, max_bytes_per_s=1e5) for name in ("lean", "stock")))
    for name in ("lean", "stock"):
        flow.fresh(name)
        size = {"bytes_up": UP, "prompts": 1, "lean": {"lean": 50_000}}
        assert flow.admit("bulk", "waiter", name, among=[name], child="child", **size).granted
    ready = {name: float(valkey.client.hget(f"mr:flow:{name}", "bytes_at")) / 1000 for name in ("lean", "stock")}
    assert ready["lean"] - clock(valkey) < 1
    assert ready["stock"] - clock(valkey) > 19


def test_what_an_answer_weighed_less_or_more_is_given_back_or_taken(valkey: RunningValkey, flow: Flow) -> None:
    for slot, down, seconds in (("less", 400_000, -1e6 / RATE), ("more", 2_400_000, 1e6 / RATE)):
        valkey.client.hdel(FLOW, "bytes_at", "per_prompt")
        assert ask(flow, slot).granted
        before = ready_at(valkey)
        tell(flow, slot, down=down)
        assert ready_at(valkey) - before == pytest.approx(seconds)


def test_a_refused_score_gives_the_answers_bytes_back_and_one_still_worked_on_does_not(
    valkey: RunningValkey, flow: Flow
) -> None:
    assert ask(flow, "first").granted
    before = ready_at(valkey)
    tell(flow, "first", report=Report("busy", keep_slot=True, reason="request_timeout"))
    assert ready_at(valkey) == before
    valkey.client.hset(FLOW, "bytes_at", 0)
    assert ask(flow, "second").granted
    before = ready_at(valkey)
    tell(flow, "second", report=Report("busy", reason="pending", overload="pending"))
    assert before - ready_at(valkey) == pytest.approx(DOWN / RATE)


def test_an_answers_weight_is_learnt(valkey: RunningValkey, flow: Flow) -> None:
    for number in range(60):
        valkey.client.hset(FLOW, "bytes_at", 0)
        assert ask(flow, f"slot-{number}").granted
        tell(flow, f"slot-{number}", down=10_000)
    assert flow.document()[0]["bytes_per_prompt"] == pytest.approx(10_000, rel=0.5)


def test_bodies_that_come_as_through_a_narrower_pipe_lower_the_rate_step_by_step_to_what_came(
    valkey: RunningValkey, flow: Flow
) -> None:
    seen = []
    for number in range(40):
        transfer_in_a_minute(valkey, flow, number, body_seconds=140.0)
        seen.append(learnt(flow))
    assert seen == sorted(seen, reverse=True)
    assert all(after >= 0.69 * before for before, after in pairwise(seen))
    assert 25_000 <= seen[-1] <= 40_000


def test_the_rate_comes_back_when_bodies_are_quick(valkey: RunningValkey, flow: Flow) -> None:
    valkey.client.hset(FLOW, "bytes_per_s", 10_000)
    for number in range(40):
        transfer_in_a_minute(valkey, flow, number, body_seconds=1.0)
    assert learnt(flow) == 1e5


def test_small_bodies_say_nothing_of_the_pipe(valkey: RunningValkey, flow: Flow) -> None:
    for number in range(40):
        transfer_in_a_minute(valkey, flow, number, body_seconds=140.0, down=5_000)
    assert learnt(flow) == 1e5


def transfer_in_a_minute(
    valkey: RunningValkey, flow: Flow, number: int, *, body_seconds: float, down: int = DOWN
) -> None:
    valkey.client.hset(FLOW, "bytes_at", 0)
    assert ask(flow, f"slot-{number}").granted
    seconds = valkey.client.time()[0]
    valkey.client.hset(FLOW, "window", (seconds - 60) * 1000)
    tell(flow, f"slot-{number}", body_seconds=body_seconds, down=down)
