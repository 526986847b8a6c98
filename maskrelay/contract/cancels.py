"""A requested cancellation, `cancel.json`: by the caller, or by the job's deadline."""

from datetime import datetime

from maskrelay.contract.outcomes import Record

BY_CALLER = "cancelled by the caller"
BY_DEADLINE = "the deadline has passed"


class CancelIntent(Record):
    """Why the job is to end, and when that was requested."""

    reason: str
    at: datetime
