"""`halted.json`, which ends a job whose step failed repeatedly: the job has ended for as long as the object exists."""

from datetime import datetime

from maskrelay.contract.outcomes import Record


class Halt(Record):
    """The step that failed (`plan`, `assemble` or `finish`), the time since the job has ended, and the error's stable
    code.
    """

    step: str
    code: str
    detail: str
    at: datetime
