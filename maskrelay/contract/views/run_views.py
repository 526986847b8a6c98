"""The models of a run's rejected lines in the API's responses."""

from pydantic import BaseModel, Field


class ForecastShown(BaseModel):
    """What a run would do, as its dry run has found it."""

    items: int = Field(description="The number of items, including those that cannot be segmented.")
    failed: int = Field(description="The number of items that cannot be segmented.")
    frames: int = Field(description="The number of frames to segment.")
    rejected: int = Field(description="The number of rejected lines.")
    bytes_to_read: int = Field(description="The number of bytes of the sources of these frames.")
    scores: int = Field(description="The number of requests to the model, if no earlier answer can be used.")
    seconds: float | None = Field(None, description="The time for the scores. Null until a score has been measured.")
    cost: float | None = Field(None, description="The price of the endpoints for this time. Null if it is unknown.")
    endpoints: int = Field(description="The number of endpoints that may be used.")
    scores_per_second: float | None = Field(None, description="The measured capacity of these endpoints together.")
    price_per_hour: float | None = Field(None, description="The price of an endpoint per hour.")


class RejectedLineShown(BaseModel):
    """A line that did not become an item, and the reason."""

    line: int = Field(description="The number of the line, counted from 1.")
    code: str
    detail: str
    pointer: str | None = Field(None, description="A JSON pointer to the wrong part of the line, as a URI fragment.")


class RejectedLineList(BaseModel):
    rejected: list[RejectedLineShown]
    next: str | None = None
