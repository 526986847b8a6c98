"""The models of events and their deliveries in the API's responses."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class DeliveryShown(BaseModel):
    """An event and its delivery.

    The type `dicom.stored` is the name of the delivery that the option `store_to` asks for.

    `reason` is `ok` if the event was delivered. Otherwise it is the reason why the last attempt failed, or why the
    delivery was given up.
    """

    event: str
    type: str
    state: Literal["waiting", "delivered", "given_up"]
    attempts: int
    status: int | None = Field(
        None, description="The HTTP status of the last attempt. Null if the receiver did not respond."
    )
    reason: str | None = None
    ended_at: datetime | None = None
    left_out: dict[str, int] = Field(
        default={},
        description="With `store_beside`: the number of items whose files could not be written, by the code of the "
        "reason.",
    )


class DeliveryList(BaseModel):
    deliveries: list[DeliveryShown]
