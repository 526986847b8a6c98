"""Which lane a job gets, which lanes a child claims from, and how many workers are wanted."""

import pytest

from maskrelay.errors import LaneForbidden
from maskrelay.rules.lanes import (
    callbacks_share,
    lane_of,
    lanes_to_claim,
    loops_wanted,
    room_to_claim,
    workers_most,
    workers_wanted,
)


def test_lanes_go_by_size_and_leave_hands_for_interactive_frames():
    assert lane_of(None, 20) == "interactive"
    assert lane_of("bulk", 1) == "bulk"
    assert lane_of(None, 21) == "bulk"
    with pytest.raises(LaneForbidden):
        lane_of("interactive", 21)
    assert lanes_to_claim(5, 8) == ["interactive", "bulk"]
    assert lanes_to_claim(6, 8) == ["interactive"]
    assert [room_to_claim(lanes_to_claim(busy, 8), busy, 8) for busy in (0, 5, 6, 7)] == [6, 1, 2, 1]
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


def test_a_tenants_callbacks_leave_a_quarter_of_the_threads():
    assert [callbacks_share(threads) for threads in (1, 2, 4, 8, 32)] == [1, 1, 3, 6, 24]
