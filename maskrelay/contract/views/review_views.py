"""The models of reviews in the API's requests and responses."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from maskrelay.contract.records.reviews import COMMENT_LENGTH, Grade, Verdict


class ReviewAsked(BaseModel):
    """What a reader says about an item. A `verdict` of null withdraws the earlier review."""

    model_config = ConfigDict(extra="forbid", strict=True)

    verdict: Verdict | None
    grade: Grade | None = Field(None, description="How good the masks are: 1 (unusable) to 5 (perfect).")
    flag: bool = Field(False, description="Whether the reader wants somebody to look at the item again.")
    comment: str | None = Field(None, max_length=COMMENT_LENGTH)


class ReviewShown(BaseModel):
    item: int
    reader: str
    verdict: Verdict | None
    grade: int | None
    flag: bool
    comment: str | None
    at: datetime
    revision: int


class MarkShown(BaseModel):
    """A review in a list of items, without its comment."""

    reader: str
    verdict: Verdict | None
    grade: int | None
    flag: bool
    revision: int


class ItemReviews(BaseModel):
    """The reviews of one item. Other readers' reviews are shown only to a reader who has reviewed the item."""

    review: ReviewShown | None = Field(description="Your own review.")
    reviews: list[ReviewShown] = Field(description="The reviews of other readers.")
    history: list[ReviewShown] = Field(description="All revisions of your own review, oldest first.")


class SampleCounts(BaseModel):
    """The reviews of a reader within the random sample of unflagged items.

    `interval` is the 95 % interval of `error_rate` (Wilson). Both are null if no item of the sample was reviewed.
    """

    reviewed: int
    rejected: int
    error_rate: float | None
    interval: tuple[float, float] | None


class ReaderCounts(BaseModel):
    reader: str
    you: bool
    accepted: int
    rejected: int
    flagged: int
    grades: dict[str, int]
    sample: SampleCounts | None = Field(description="Null until the job has ended.")


class Agreement(BaseModel):
    """The agreement of two readers on the items that both have reviewed.

    `observed` is the share of equal verdicts, and `kappa` is Cohen's κ, or null if it is not defined.
    """

    readers: tuple[str, str]
    items: int
    observed: float
    kappa: float | None


class Sample(BaseModel):
    """The random sample of items without a flag. It is always the same for the same job and size."""

    size: int
    items: list[int] = Field(description="The numbers of the items.")


class ReviewSummary(BaseModel):
    items: int
    reviewed: int = Field(description="The number of items that at least one reader has reviewed.")
    readers: list[ReaderCounts]
    agreement: list[Agreement]
    sample: Sample | None = Field(description="Null until the job has ended.")
