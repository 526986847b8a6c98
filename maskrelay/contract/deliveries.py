"""Deliveries of events to a job's caller: the stored outcome of each, and its state over HTTP."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from maskrelay.contract.outcomes import Record


class DeliveryEnd(Record):
    """The marker of a completed delivery."""

    #: "ok", or why the delivery was given up.
    how: str
    at: datetime
    attempts: int = 0
    #: The status of the last response.
    status: int | None = None


class DeliveryShown(BaseModel):
    """An event and its delivery. `reason` is `ok`, or why the last attempt failed or the delivery ended."""

    event: str
    type: str
    state: Literal["waiting", "delivered", "given_up"]
    attempts: int
    status: int | None = Field(
        None, description="The HTTP status of the last attempt. Null if the receiver did not respond."
    )
    reason: str | None = None
    ended_at: datetime | None = None


class DeliveryList(BaseModel):
    deliveries: list[DeliveryShown]
