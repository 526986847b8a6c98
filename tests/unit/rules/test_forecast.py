"""The forecast of a dry run: scores for frames, the capacity of endpoints, and the cost of their time."""

import pytest

from maskrelay.rules.forecast import EndpointCapacity, cost_of, scores_of, scores_per_second


@pytest.mark.parametrize(
    ("prompts", "one", "most", "scores"), [(1, False, 16, 1), (17, False, 16, 2), (3, True, 16, 3)]
)
def test_a_frame_needs_a_score_for_each_group_of_prompts(prompts: int, one: bool, most: int, scores: int) -> None:
    assert scores_of(prompts, one_prompt_per_request=one, prompts_per_score=most) == scores


def test_the_capacity_is_bounded_by_requests_in_flight_and_by_the_rate() -> None:
    endpoints = [EndpointCapacity(in_flight=4, requests_per_s=500), EndpointCapacity(in_flight=100, requests_per_s=10)]
    assert scores_per_second(endpoints, 0.5) == 8 + 10


def test_without_a_measurement_or_an_endpoint_the_capacity_is_unknown() -> None:
    assert scores_per_second([EndpointCapacity(4, 500)], None) is None
    assert scores_per_second([], 0.5) is None


def test_the_cost_is_that_of_all_endpoints() -> None:
    assert cost_of(1800, 2, 3.0) == 3.0
    assert cost_of(None, 2, 3.0) is None
    assert cost_of(1800, 2, None) is None
