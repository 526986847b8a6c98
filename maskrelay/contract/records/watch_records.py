"""The stored record of a watch, which makes a job of every folder that appears below a prefix."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from maskrelay.contract.record import Record
from maskrelay.contract.records.job import Submission


class Watch(Record):
    """`watches/{tenant}/{id}.json`: a place to look at, and the job that each folder in it becomes."""

    id: str
    tenant: str
    created_at: datetime
    #: The URL of the prefix, which ends with `/`, or of a DICOMweb study, series or query.
    source: str
    #: The name of the credential with which the prefix is listed and its objects are read.
    credential: str
    #: The pattern that the end of an object's name must match, such as `*.dcm`. None means that all objects count.
    pattern: str | None = None
    prompts: tuple[str, ...]
    #: The seconds for which a folder must not change before it becomes a job.
    settle_s: Annotated[float, Field(ge=0)]
    #: The number of objects with which a folder is complete at once.
    expected: int | None = None
    #: The seconds between two listings if no event arrives.
    period_s: Annotated[float, Field(ge=1)]
    #: The URL of the resource `/changes` of the Orthanc that `source` is in. A change lets the watch look at once.
    changes: str | None = None
    #: The job without its items. Its id, time and fingerprint are replaced.
    template: Submission
