"""Records of how a job ends without a result of its own: `cancel.json`, `gone.json` and `halted.json`."""

from datetime import datetime
from typing import Literal

from maskrelay.contract.record import Record

BY_CALLER = "cancelled by the caller"
BY_DEADLINE = "the deadline has passed"


class CancelIntent(Record):
    """Why the job is to end, and when that was requested."""

    reason: str
    at: datetime


class Tombstone(Record):
    """The job's tenant, the time of its removal, and the reason.

    `by`: the name of the key or subject that asked for it.
    """

    tenant: str
    at: datetime
    reason: Literal["deleted", "expired"]
    by: str | None = None


class Halt(Record):
    """The step that failed (`plan`, `assemble` or `finish`), the time since the job has ended, and the error's stable
    code.
    """

    step: str
    code: str
    detail: str
    at: datetime
