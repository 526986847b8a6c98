"""The models of a run's rejected lines in the API's responses."""

from pydantic import BaseModel, Field


class RejectedLineShown(BaseModel):
    """A line that did not become an item, and the reason."""

    line: int = Field(description="The number of the line, counted from 1.")
    code: str
    detail: str
    pointer: str | None = Field(None, description="A JSON pointer to the wrong part of the line, as a URI fragment.")


class RejectedLineList(BaseModel):
    rejected: list[RejectedLineShown]
    next: str | None = None
