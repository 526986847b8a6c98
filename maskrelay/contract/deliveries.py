"""Events on their way to a job's caller: how each ended (storage), and how they stand (HTTP)."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from maskrelay.contract.outcomes import Record


class DeliveryEnd(Record):
    """The marker of an event that is over. `how` is "ok", or why it was given up; `status` of the last answer."""

    how: str
    at: datetime
    attempts: int = 0
    status: int | None = None


class DeliveryShown(BaseModel):
    """One event. `status` and `reason` are of the last attempt; `status` is null where no answer came."""

    event: str
    type: str
    state: Literal["waiting", "delivered", "given_up"]
    attempts: int
    status: int | None = Field(None, description="The HTTP status of the receiver's last answer.")
    reason: str | None = None
    ended_at: datetime | None = None


class DeliveryList(BaseModel):
    deliveries: list[DeliveryShown]
