"""The models of failed frames and of redriven jobs in the API's responses."""

from pydantic import BaseModel, Field

from maskrelay.contract.views.job_views import ErrorShown, JobShown


class DeadLetterShown(BaseModel):
    """A failed frame. `frame` is its number within the item, counted from 0."""

    item: int | None = Field(
        None,
        description="The number of the item in the job, counted from 0. Services before version 0.2 do not send it.",
    )
    custom_id: str
    frame: int
    error: ErrorShown
    attempts: int


class DeadLetterList(BaseModel):
    dead_letters: list[DeadLetterShown]
    redriven_as: list[str] = Field(description="The jobs that process items of this job again.")
    next: str | None = None


class NotRedriven(BaseModel):
    """A job that cannot be redriven. `error` is the reason."""

    job: str
    error: ErrorShown


class RedriveList(BaseModel):
    """The new jobs for one page of the tenant's jobs, and the jobs that cannot be redriven."""

    jobs: list[JobShown]
    refused: list[NotRedriven]
    next: str | None = None
