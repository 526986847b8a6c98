"""The records of a job that is cancelled, deleted or halted: `cancel.json`, `gone.json` and `halted.json`."""

from datetime import datetime
from typing import Literal

from maskrelay.contract.record import Record

BY_CALLER = "cancelled by the caller"
BY_DEADLINE = "the deadline has passed"


class CancelIntent(Record):
    """The reason why the job is cancelled, and the time of the request."""

    reason: str
    at: datetime


class Tombstone(Record):
    """The record of a job that was deleted or has expired."""

    tenant: str
    #: The time of the deletion or expiry.
    at: datetime
    reason: Literal["deleted", "expired"]
    #: The caller that requested the deletion: the name of an API key, or a hash of the subject of a token.
    by: str | None = None


class Halt(Record):
    """The record of a job that ended without a result.

    One of its steps has failed repeatedly, or the lines of the run could not be used.
    """

    #: The step that failed: `plan`, `assemble` or `finish`.
    step: str
    #: The stable code of the error.
    code: str
    detail: str
    #: The time at which the job ended.
    at: datetime
