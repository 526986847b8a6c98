"""Jobs, items and uploads as the API answers them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from maskrelay.contract.jobs import Counts, Frames, ItemState, JobState
from maskrelay.contract.outcomes import SelfCheck
from maskrelay.contract.targets import PromptWarning


class ErrorShown(BaseModel):
    code: str
    detail: str | None = None


class CallbackShown(BaseModel):
    url: str
    events: list[str]
    secret: str | None = Field(None, description="Only in the answer to the submission, and only if it was generated.")


class JobLinks(BaseModel):
    self: str
    items: str
    cancel: str
    result: str | None = None
    dead_letters: str | None = Field(None, description="Where a frame has failed.")


class JobShown(BaseModel):
    """The job as the API answers it."""

    id: str
    redrive_of: str | None = Field(None, description="The job whose failed items are done again in this one.")
    state: JobState
    planned: bool
    created_at: datetime
    counts: Counts
    frames: Frames
    warnings: list[PromptWarning] = []
    flags: dict[str, int] = Field(default={}, description="How many masks carry each flag; known at the end.")
    timings: dict[str, float] = Field(
        default={}, description="Seconds by stage, which follow each other without a gap, and their sum as `total`."
    )
    bottleneck: str | None = Field(None, description="The stage that took, or takes, most of the time.")
    eta_s: float | None = None
    deadline: datetime | None = None
    reason: str | None = Field(None, description="Why it was cancelled, or the code of why it ended without a result.")
    error: ErrorShown | None = Field(None, description="Why it ended without a result.")
    metadata: dict[str, Any] = {}
    callback: CallbackShown | None = None
    links: JobLinks


class JobList(BaseModel):
    jobs: list[JobShown]
    next: str | None = None
    unreadable: list[str] = Field(
        [], description="The jobs of this page that cannot be read; absent where there are none."
    )


class MaskLinks(BaseModel):
    mask: str | None = None
    probability: str | None = None


class MaskShown(BaseModel):
    """`bbox` is [x, y, width, height] in source pixels; `mean_probability` is 0..1."""

    prompt: str
    category: str | None
    empty: bool
    area_px: int
    area_mm2: float | None = None
    bbox: tuple[int, int, int, int] | None
    centroid: tuple[float, float] | None
    components: int
    mean_probability: float
    border: list[str]
    flags: list[str]
    self_check: SelfCheck | None = None
    links: MaskLinks


def _named(name: str) -> Any:
    """A field that JSON calls so."""
    return Field(serialization_alias=name, validation_alias=name)


class FrameLinks(BaseModel):
    overlay: str | None = None


class ItemLinks(FrameLinks):
    """The files of an item, under the names of `options.outputs`."""

    nifti: str | None = None
    nifti_per_prompt: Annotated[list[str] | None, _named("nifti-per-prompt")] = None
    seg: str | None = None
    contact_sheet: Annotated[str | None, _named("contact-sheet")] = None
    geojson: str | None = None


class FrameShown(BaseModel):
    """One frame of several. `instance`: the DICOM object it belongs to, as `identifiers` asked for.

    `source_name`: the file it was read from, where its item was made of several.
    """

    frame: int
    source_name: str | None = None
    state: ItemState
    instance: str | None = None
    error: ErrorShown | None = None
    masks: list[MaskShown] = []
    links: FrameLinks = FrameLinks()


class ItemShown(BaseModel):
    """One item; an item of several frames has `frames` in place of `masks`.

    `members`: the custom ids of all that was submitted of a series. `findings`: what was noticed of the source, by
    code. `errors`: files that were asked for and could not be made. `intensity`: how values became bytes.
    """

    custom_id: str
    source_name: str | None = None
    members: list[str] | None = None
    state: ItemState
    error: ErrorShown | None = None
    findings: dict[str, Any] = {}
    identifiers: dict[str, str] | None = None
    intensity: str | None = None
    masks: list[MaskShown] = []
    frames: list[FrameShown] | None = None
    errors: dict[str, ErrorShown] | None = None
    links: ItemLinks = ItemLinks()


class IgnoredShown(BaseModel):
    """A file that became no item, such as a report, a viewer's file or a segmentation in a zip."""

    custom_id: str = Field(description="Of the submitted item that holds it.")
    source_name: str | None = None
    reason: ErrorShown


class ItemList(BaseModel):
    items: list[ItemShown]
    next: str | None = None
    ignored: list[IgnoredShown] = Field(default=[], description="On the first page: the files that became no items.")


class UploadShown(BaseModel):
    id: str
    size: int
    sha256: str


class UploadList(BaseModel):
    uploads: list[UploadShown]
