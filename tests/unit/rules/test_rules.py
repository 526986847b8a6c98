"""The decisions: where a job may go, when an error counts, what it means for the gate, who claims what."""

from datetime import timedelta

import pytest

from maskrelay.contract.records.job import TERMINAL, Counts
from maskrelay.errors import (
    EndpointBusy,
    EndpointDenied,
    EndpointThrottled,
    EndpointTimeout,
    LaneForbidden,
    ScoringFailed,
    StorageUnavailable,
)
from maskrelay.rules.endpoint_gate import report_of
from maskrelay.rules.lanes import callbacks_share, lane_of, lanes_to_claim, loops_wanted, workers_most, workers_wanted
from maskrelay.rules.lifecycle import MOVES, may_cancel, verdict
from maskrelay.rules.retry import COME_BACK, Trouble, backoff, judge, left_alone


def test_terminal_states_absorb_and_every_state_reaches_one():
    for state, after in MOVES.items():
        assert (state in TERMINAL) == (not after)
        reached, edge = {state}, {state}
        while edge:
            edge = {following for one in edge for following in MOVES[one]} - reached
            reached |= edge
        assert reached & TERMINAL


@pytest.mark.parametrize("state", sorted(MOVES))
def test_a_job_can_be_cancelled_until_it_finishes(state):
    assert may_cancel(state) == (state in {"accepted", "running", "cancelling"})


@pytest.mark.parametrize(
    ("counts", "cancelled", "state"),
    [
        ({"succeeded": 3}, False, "succeeded"),
        ({"succeeded": 3}, True, "succeeded"),
        ({"failed": 3}, False, "failed"),
        ({"succeeded": 1, "failed": 2}, False, "partial"),
        ({"partial": 1, "failed": 2}, False, "partial"),
        ({"succeeded": 1, "cancelled": 2}, True, "cancelled"),
        ({"cancelled": 3}, True, "cancelled"),
    ],
)
def test_the_verdict_follows_the_items(counts, cancelled, state):
    assert verdict(Counts(total=3, **counts), cancelled=cancelled) == state


def test_a_strike_counts_only_after_another_input_was_answered_well():
    assert judge(Trouble(), last_good_ms=5) == "clear"
    assert judge(Trouble(struck=10), last_good_ms=5) == "ask"
    assert judge(Trouble(struck=10), last_good_ms=10) == "ask"
    assert judge(Trouble(struck=10), last_good_ms=11) == "charge"


def test_a_strike_of_an_outage_is_excused():
    assert judge(Trouble(struck=10), last_good_ms=30, excused_ms=20) == "clear"
    assert judge(Trouble(struck=25), last_good_ms=30, excused_ms=20) == "charge"
    assert judge(Trouble(struck=25), last_good_ms=30, is_open=False) == "clear"


def test_the_pause_doubles_up_to_five_minutes_and_half_of_it_is_jitter():
    assert backoff(1, 1) == timedelta(seconds=1)
    assert backoff(3, 1) == timedelta(seconds=4)
    assert backoff(3, 0) == timedelta(seconds=2)
    assert backoff(99, 1) == timedelta(minutes=5)


def test_errors_mean_what_the_contract_says_for_the_gate():
    assert report_of(ScoringFailed(kind="model")).kind == "failed"
    assert report_of(EndpointDenied(kind="unauthorised")).kind == "denied"
    assert report_of(EndpointThrottled(kind="rate", retry_after_s=7.0)).retry_after == timedelta(seconds=7)
    assert report_of(EndpointThrottled(kind="rate", retry_after_s=900.0)).retry_after == timedelta(seconds=300)
    assert report_of(EndpointTimeout(kind="client_timeout", still_working=True)).keep_slot


def test_lanes_go_by_size_and_leave_hands_for_interactive_frames():
    assert lane_of(None, 20) == "interactive"
    assert lane_of("bulk", 1) == "bulk"
    assert lane_of(None, 21) == "bulk"
    with pytest.raises(LaneForbidden):
        lane_of("interactive", 21)
    assert lanes_to_claim(5, 8) == ["interactive", "bulk"]
    assert lanes_to_claim(6, 8) == ["interactive"]
    assert loops_wanted(0, 8, 2) == 0
    assert loops_wanted(1_000_000, 8, 2) == 2


@pytest.mark.parametrize(("limit", "per_worker", "most"), [(0, 8, 1), (2, 8, 1), (4, 8, 1), (5, 8, 2), (64, 8, 16)])
def test_no_more_workers_than_an_endpoint_can_feed(limit, per_worker, most):
    assert workers_most(limit, per_worker) == most


@pytest.mark.parametrize(
    ("waiting", "held", "wanted"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (8, 0, 1), (8, 1, 2), (100_000, 32, 4)]
)
def test_workers_are_wanted_for_what_waits_and_what_is_in_hand_up_to_the_most(waiting, held, wanted):
    assert workers_wanted(waiting, held, per_worker=8, most=4) == wanted


def test_a_frame_waits_for_its_own_errors_by_their_number_and_longer_after_a_timeout():
    refused, late = ScoringFailed(kind="model_error"), EndpointTimeout(kind="client_timeout")
    assert [left_alone(refused, attempt, 1.0) for attempt in (1, 3)] == [backoff(1, 1.0), backoff(3, 1.0)]
    assert left_alone(late, 1, 1.0) == backoff(5, 1.0)
    assert left_alone(StorageUnavailable(), 7, 0.0) == backoff(1, 0.0)


@pytest.mark.parametrize(("opens_in", "waited"), [(2.0, timedelta(seconds=2)), (600.0, COME_BACK), (0.0, timedelta(0))])
def test_a_frame_whose_gates_are_closed_is_looked_at_soon_after_they_may_open(opens_in, waited):
    closed = EndpointBusy(kind="gate", parked=True, come_back_s=opens_in)
    assert left_alone(closed, 3, 1.0) == waited
    assert left_alone(closed, 3, 0.0) == waited * 0.8
    assert left_alone(EndpointBusy(kind="pending"), 3, 1.0) == backoff(1, 1.0)


def test_a_tenants_callbacks_leave_a_quarter_of_the_threads():
    assert [callbacks_share(threads) for threads in (1, 2, 4, 8, 32)] == [1, 1, 3, 6, 24]
