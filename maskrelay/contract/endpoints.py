"""The flow of each endpoint as it is shown: what holds a run back, and never an address or a key."""

from typing import Literal

from pydantic import BaseModel, Field


class WaitingShown(BaseModel):
    """Scores that wait to be admitted, one a child and lane at most."""

    interactive: int
    bulk: int


class TokensShown(BaseModel):
    """How fast scores and their bytes may go; `bytes_per_s_learnt` is what was seen to pass, at most the setting."""

    requests_per_s: float
    bytes_per_s: float
    bytes_per_s_learnt: float


class EndpointShown(BaseModel):
    name: str
    gate: Literal["open", "closed", "half-open", "frozen"] = Field(
        description="`frozen`: nothing is sent until scores lost with Redis must have ended."
    )
    reason: str = Field(description="Why the gate is not open, in a word.")
    closed_for_s: float
    limit: int = Field(description="Scores that may be in flight now; adapts below `max_in_flight`.")
    max_in_flight: int
    in_flight: int
    waiting: WaitingShown
    tokens: TokensShown
    bytes_per_prompt: float = Field(description="What an answer weighs for each prompt, as learnt.")
    errors: dict[str, int] = Field(description="Failed scores of the last minutes by kind.")
    model_version: str
    weight: float


class EndpointList(BaseModel):
    endpoints: list[EndpointShown]
