from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskrelay.callbacks.retry_schedule import delay_before

SCHEDULE = [
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
]
rands = st.floats(0, 1, exclude_max=True)


def test_without_jitter_the_pauses_are_the_published_ones():
    assert [delay_before(attempt, 0.5) for attempt in range(1, 11)] == SCHEDULE


def test_after_the_tenth_attempt_it_is_given_up():
    assert delay_before(11, 0.5) is None
    assert delay_before(11, 0.5, timedelta(seconds=1)) is None


@given(st.integers(1, 10), rands)
def test_jitter_stays_within_a_tenth(attempt, rand):
    pause = delay_before(attempt, rand)
    assert SCHEDULE[attempt - 1] * 0.9 <= pause <= SCHEDULE[attempt - 1] * 1.1


@given(st.integers(1, 10), rands, st.timedeltas(timedelta(0), timedelta(hours=24)))
def test_it_is_never_sooner_than_the_receiver_asked(attempt, rand, asked):
    assert delay_before(attempt, rand, asked) == max(asked, delay_before(attempt, rand))


@pytest.mark.parametrize("asked", [timedelta(days=2), timedelta(days=9999)])
def test_a_receiver_cannot_put_it_off_for_more_than_a_day(asked):
    assert delay_before(2, 0.5, asked) == timedelta(hours=24)
