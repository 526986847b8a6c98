"""The models of the state of an endpoint in the API's responses. They contain no addresses and no keys."""

from typing import Literal

from pydantic import BaseModel, Field


class WaitingShown(BaseModel):
    """The number of requests that wait for a slot, by lane. Each child process of a worker has at most one per lane."""

    interactive: int
    bulk: int


class TokensShown(BaseModel):
    """The rate limits. `bytes_per_s_learnt` is the measured throughput, which never exceeds `bytes_per_s`."""

    requests_per_s: float
    bytes_per_s: float
    bytes_per_s_learnt: float


class EndpointShown(BaseModel):
    name: str
    gate: Literal["open", "closed", "half-open", "frozen"] = Field(
        description="The state of the gate. `frozen` means that Redis has lost its data. No request is sent until the "
        "workers have reported their requests in flight."
    )
    reason: str = Field(description="The code of the reason why the gate is not open.")
    closed_for_s: float
    limit: int = Field(
        description="The current limit on requests in flight. It is adapted to the endpoint, up to `max_in_flight`."
    )
    max_in_flight: int
    in_flight: int
    waiting: WaitingShown
    tokens: TokensShown
    bytes_per_prompt: float = Field(description="The measured size of a response for each prompt.")
    errors: dict[str, int] = Field(
        description="The number of failed requests in the last five minutes, by kind of error."
    )
    model_version: str
    weight: float
    wire: str = Field(description="The configured wire format.")
    wire_in_use: str | None = Field(
        description="`lean2d` if the deployment offers it, otherwise `image2d`. Null until it has been queried."
    )


class EndpointList(BaseModel):
    endpoints: list[EndpointShown]
