"""The forecast of a dry run: the scores that frames need, and the time and the cost of scores."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EndpointCapacity:
    """How much an endpoint can do at present."""

    #: The limit on requests in flight.
    in_flight: int
    requests_per_s: float


def scores_of(prompts: int, *, one_prompt_per_request: bool, prompts_per_score: int) -> int:
    """Return the number of scores for a frame with this number of prompts."""
    return -(-prompts // (1 if one_prompt_per_request else prompts_per_score))


def scores_per_second(endpoints: Sequence[EndpointCapacity], seconds_per_score: float | None) -> float | None:
    """Return the number of scores that the endpoints can do per second.

    `seconds_per_score` is the measured duration of a score. Return None if it is unknown, or if there is no endpoint.
    """
    if not endpoints or not seconds_per_score:
        return None
    return sum(min(endpoint.in_flight / seconds_per_score, endpoint.requests_per_s) for endpoint in endpoints)


def cost_of(seconds: float | None, endpoints: int, price_per_hour: float | None) -> float | None:
    """Return the price of this number of endpoints for this time, or None if the time or the price is unknown."""
    return None if seconds is None or price_per_hour is None else seconds / 3600 * endpoints * price_per_hour
