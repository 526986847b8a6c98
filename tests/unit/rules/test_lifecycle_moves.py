"""Which state a job may move to, and the verdict on its items."""

import pytest

from maskrelay.contract.records.job import TERMINAL, Counts
from maskrelay.rules.lifecycle import MOVES, may_cancel, verdict


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
