"""The stored record of how the delivery of an event ended."""

from datetime import datetime

from maskrelay.contract.record import Record


class DeliveryEnd(Record):
    """The record that a delivery is finished, because the event was delivered or the delivery was given up."""

    #: `ok` if the event was delivered, otherwise the reason why the delivery was given up.
    how: str
    at: datetime
    attempts: int = 0
    #: The HTTP status of the last response. None if there was no response.
    status: int | None = None
