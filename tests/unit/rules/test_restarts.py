"""When something that failed is started again."""

from maskrelay.rules.restarts import MOST_FAILURES, STEADY, failures_in_a_row, pause_after


def test_pauses_grow_up_to_half_a_minute_and_end_after_ten_failures_in_a_row():
    pauses = [pause_after(failures) for failures in range(1, MOST_FAILURES + 1)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, None]


def test_a_run_of_a_minute_begins_a_new_row_of_failures():
    assert failures_in_a_row(0, ran=0) == 1
    assert failures_in_a_row(7, ran=STEADY - 1) == 8
    assert failures_in_a_row(7, ran=STEADY) == 1
