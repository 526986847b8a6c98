"""The end of a job whose step failed again and again, `halted.json`: while it is there, the job has ended."""

from datetime import datetime

from maskrelay.contract.outcomes import Record


class Halt(Record):
    """Which step failed (`plan`, `assemble` or `finish`), since when the job has ended, and the error's stable code."""

    step: str
    code: str
    detail: str
    at: datetime
