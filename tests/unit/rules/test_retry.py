"""When an error of a frame counts, and how long the frame waits."""

from datetime import timedelta

import pytest

from maskrelay.errors import EndpointBusy, EndpointTimeout, ScoringFailed, StorageUnavailable
from maskrelay.rules.retry import COME_BACK, NO_ENDPOINT, Trouble, backoff, judge, pause_after_release


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


def test_a_frame_waits_for_its_own_errors_by_their_number_and_longer_after_a_timeout():
    refused, late = ScoringFailed(kind="model_error"), EndpointTimeout(kind="client_timeout")
    assert [pause_after_release(refused, attempt, 1.0) for attempt in (1, 3)] == [backoff(1, 1.0), backoff(3, 1.0)]
    assert pause_after_release(late, 1, 1.0) == backoff(5, 1.0)
    assert pause_after_release(StorageUnavailable(), 7, 0.0) == backoff(1, 0.0)


@pytest.mark.parametrize(("opens_in", "waited"), [(2.0, timedelta(seconds=2)), (600.0, COME_BACK), (0.0, timedelta(0))])
def test_a_frame_whose_gates_are_closed_is_looked_at_soon_after_they_may_open(opens_in, waited):
    closed = EndpointBusy(kind="gate", come_back_s=opens_in)
    assert pause_after_release(closed, 3, 1.0) == waited
    assert pause_after_release(closed, 3, 0.0) == waited * 0.8
    assert pause_after_release(EndpointBusy(kind="pending"), 3, 1.0) == backoff(1, 1.0)


def test_a_frame_without_an_endpoint_waits_as_long_as_is_said_because_no_gate_will_open():
    nowhere = EndpointBusy(kind=NO_ENDPOINT, come_back_s=30.0)
    assert pause_after_release(nowhere, 1, 1.0) == timedelta(seconds=30)
