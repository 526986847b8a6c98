"""Deliveries of events to a job's caller: the stored outcome of each, and its state over HTTP."""

from datetime import datetime

from maskrelay.contract.record import Record


class DeliveryEnd(Record):
    """The marker of a completed delivery."""

    #: "ok", or why the delivery was given up.
    how: str
    at: datetime
    attempts: int = 0
    #: The status of the last response.
    status: int | None = None
