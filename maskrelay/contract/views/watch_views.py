"""The representation of watches in responses."""

from datetime import datetime

from pydantic import BaseModel, Field


class WatchShown(BaseModel):
    """A watch: every folder below `source` becomes a job when its objects have arrived."""

    id: str
    created_at: datetime
    source: str
    credential: str = Field(description="The name of the credential with which the objects are read.")
    pattern: str | None = None
    prompts: list[str]
    settle_s: float
    expected: int | None = None
    period_s: float
    changes: str | None = Field(
        None, description="The list of changes of an Orthanc, which is asked every few seconds."
    )
    events: str = Field(description="The URL to which the store may send its notifications.")


class WatchList(BaseModel):
    watches: list[WatchShown]


class EventsSeen(BaseModel):
    """The answer to a notification. Azure Event Grid validates an address by `validationResponse`."""

    validation_response: str | None = Field(
        None, serialization_alias="validationResponse", validation_alias="validationResponse"
    )
