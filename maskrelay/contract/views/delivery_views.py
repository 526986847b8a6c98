"""The events of a job's callback as the API answers them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


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
