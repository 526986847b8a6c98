"""How many frames a child has in hand."""

import pytest

from maskrelay.rules.lanes import BULK_SHARE
from maskrelay.rules.pace import MOST_BYTES, MOST_HANDS, Pace
from maskrelay.settings import LEAST_HANDS


def seen(scoring: float, working: float, size: float = 3e6, frames: int = 1) -> Pace:
    pace = Pace()
    for _ in range(frames):
        pace.note(scoring=scoring, working=working, bytes=size)
    return pace


@pytest.mark.parametrize(
    ("scoring", "working"), [(1.0, 0.1), (0.25, 0.1), (0.25, 0.4), (8.0, 0.2), (0.1, 0.05), (0.1, 0.3)]
)
@pytest.mark.parametrize("slots", [1, 8, 24, 32, 64])
def test_bulk_frames_fill_every_slot_and_every_stage_beside_it(slots: int, scoring: float, working: float) -> None:
    """By Little's law, with frames to spare: the mean number in each stage is the pace times the stage's time."""
    pace = slots / scoring
    bulk = seen(scoring, working).hands(slots) * BULK_SHARE
    assert bulk >= min(pace * (scoring + working) + 2, MOST_BYTES / 3e6 * BULK_SHARE)


def test_slower_work_beside_the_score_takes_more_hands_and_the_average_follows() -> None:
    pace = seen(1.0, 0.1)
    before = pace.hands(8)
    for _ in range(200):
        pace.note(scoring=1.0, working=1.0, bytes=3e6)
    assert pace.hands(8) > before


def test_hands_are_bounded_by_the_memory_of_what_they_hold() -> None:
    assert seen(0.1, 0.1, size=MOST_BYTES / 20).hands(100) == 20
    assert seen(0.1, 1.0, size=MOST_BYTES).hands(100) == LEAST_HANDS
    assert seen(0.1, 1.0, size=1).hands(1000) == MOST_HANDS


def test_an_endpoint_that_is_faster_than_the_processors_does_not_fill_the_memory() -> None:
    """The time of the other stages grows with the frames in progress there, and must not ask for more of them."""
    assert seen(0.002, 1.0).hands(8) == seen(0.002, 0.006).hands(8) < 60


def test_before_anything_was_seen_there_are_hands_enough_to_begin() -> None:
    assert Pace().hands(1) >= LEAST_HANDS
    assert Pace().hands(8) * BULK_SHARE >= 12
