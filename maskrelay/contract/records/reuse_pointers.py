"""The pointers by which a job finds what earlier jobs of its tenant have found out about the same sources.

The key of a pointer is a digest of what it is about. If the job that a pointer names is gone, the pointer is ignored.
"""

from maskrelay.contract.record import Amount, Number, Record


class OutcomePlace(Record):
    """Where the outcome of a frame is: in the result of this job."""

    job: str
    item: Number
    frame: Number


class OutcomePointer(OutcomePlace):
    """The newest place of an outcome. If it was copied, `copied_from` is the place of the original.

    The newest job may still run, or end without a result. Then the original is used again.
    """

    copied_from: OutcomePlace | None = None


class SurveyPointer(Record):
    """Where the survey of a source is: in this part of the survey of this job, under the number of the item."""

    job: str
    part: Number
    upload: Number
    #: The chunk of the run to which the part belongs. None if the job is not a run.
    chunk: Amount | None = None


class FilesPointer(Record):
    """Where the files of a whole item are: in this job, under the number of the item."""

    job: str
    item: Number
