"""The stored records of deliveries: how far one has come, and how it ended."""

from datetime import datetime

from pydantic import Field

from maskrelay.contract.record import Number, Record


class DeliveryEnd(Record):
    """The record that a delivery is finished, because the event was delivered or the delivery was given up."""

    #: `ok` if the event was delivered, otherwise the reason why the delivery was given up.
    how: str
    at: datetime
    attempts: int = 0
    #: The HTTP status of the last response. None if there was no response.
    status: int | None = None
    #: The number of items whose files could not be written, by the code of the reason.
    left_out: dict[str, int] = Field(default_factory=dict)


class StoredPosition(Record):
    """How far the files of a job are written to a store, or its segmentations are sent to an archive."""

    #: The number of the first item whose files are not written yet, or with which the next attempt begins to send.
    item: Number
    #: The value so far (see `DeliveryEnd`).
    left_out: dict[str, int] = Field(default_factory=dict)
