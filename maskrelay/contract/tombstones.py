"""The tombstone of a job that was deleted or has expired: `gone.json`."""

from datetime import datetime
from typing import Literal

from maskrelay.contract.outcomes import Record


class Tombstone(Record):
    """The job's tenant, the time of its removal, and the reason.

    `by`: the name of the key or subject that asked for it.
    """

    tenant: str
    at: datetime
    reason: Literal["deleted", "expired"]
    by: str | None = None
