"""The flow state of an endpoint over HTTP: what limits a run at present, without addresses or keys."""

from typing import Literal

from pydantic import BaseModel, Field


class WaitingShown(BaseModel):
    """Requests that are waiting for admission: at most one for each worker child and lane."""

    interactive: int
    bulk: int


class TokensShown(BaseModel):
    """The rate limits. `bytes_per_s_learnt` is the measured throughput, at most the configured `bytes_per_s`."""

    requests_per_s: float
    bytes_per_s: float
    bytes_per_s_learnt: float


class EndpointShown(BaseModel):
    name: str
    gate: Literal["open", "closed", "half-open", "frozen"] = Field(
        description="`frozen`: Redis was lost. Nothing is sent until the requests that were in flight must have ended."
    )
    reason: str = Field(description="Why the gate is not open, as a code.")
    closed_for_s: float
    limit: int = Field(description="The current limit on requests in flight. It adapts, up to `max_in_flight`.")
    max_in_flight: int
    in_flight: int
    waiting: WaitingShown
    tokens: TokensShown
    bytes_per_prompt: float = Field(description="The measured size of a response for each prompt.")
    errors: dict[str, int] = Field(description="The number of failed requests in the last five minutes, by kind.")
    model_version: str
    weight: float


class EndpointList(BaseModel):
    endpoints: list[EndpointShown]
