"""The models of jobs, items and uploads in the API's responses."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from maskrelay.contract.records.job import (
    Counts,
    Frames,
    ItemState,
    JobState,
)
from maskrelay.contract.records.outcomes import SelfCheck
from maskrelay.contract.views.review_views import MarkShown
from maskrelay.contract.views.run_views import ForecastShown
from maskrelay.contract.vocabulary.trained_targets import PromptWarning

#: The largest number of files of a job in one response. With more names, the request would be too long for some
#: proxies.
MOST_TOGETHER = 100


class ErrorShown(BaseModel):
    code: str
    detail: str | None = None


class CallbackShown(BaseModel):
    url: str
    events: list[str]
    secret: str | None = Field(
        None,
        description="The secret that signs the events. It is only in the response to the submission, and only if the "
        "service generated it.",
    )


class JobLinks(BaseModel):
    self: str
    items: str
    cancel: str
    result: str | None = None
    report: str | None = Field(None, description="The run card, if the output `report` was requested.")
    dead_letters: str | None = Field(None, description="Present if a frame has failed.")
    rejected: str | None = Field(None, description="Present if lines of a run were rejected.")


class JobShown(BaseModel):
    """A job."""

    id: str
    redrive_of: str | None = Field(None, description="The job whose failed items this job processes again.")
    state: JobState
    planned: bool
    created_at: datetime
    counts: Counts
    frames: Frames
    rejected: int | None = Field(None, description="The number of rejected lines of a run.")
    forecast: ForecastShown | None = Field(None, description="What a dry run has found, when it has ended.")
    warnings: list[PromptWarning] = []
    flags: dict[str, int] = Field(
        default={}, description="The number of masks with each flag. It is empty until the job has ended."
    )
    timings: dict[str, float] = Field(
        default={}, description="The duration of each stage in seconds, and the sum of all stages as `total`."
    )
    bottleneck: str | None = Field(None, description="The stage that has taken the most time.")
    eta_s: float | None = None
    deadline: datetime | None = None
    reason: str | None = Field(None, description="The reason why the job was cancelled, or the code of `error`.")
    error: ErrorShown | None = Field(None, description="The reason why the job ended without a result.")
    metadata: dict[str, Any] = {}
    callback: CallbackShown | None = None
    links: JobLinks


class JobList(BaseModel):
    jobs: list[JobShown]
    next: str | None = None
    unreadable: list[str] = Field(
        [], description="The ids of the jobs of this page that cannot be read. The field is absent if there are none."
    )


class MaskLinks(BaseModel):
    mask: str | None = None
    probability: str | None = None


class RleShown(BaseModel):
    """A mask as run lengths in COCO's compressed text format, in column-major order."""

    size: tuple[int, int] = Field(description="The height and the width in pixels.")
    counts: str


class MaskShown(BaseModel):
    """A mask. `bbox` is [x, y, width, height] in source pixels. `mean_probability` is between 0 and 1."""

    prompt: str
    size: tuple[int, int] | None = Field(
        None,
        description="The height and the width of the source in pixels. Services before version 0.2 do not send it.",
    )
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
    rle: RleShown | None = Field(None, description="The mask itself. It is only shown if `rle=true` is requested.")
    links: MaskLinks


def _named(name: str) -> Any:
    """Return a field that has this name in JSON."""
    return Field(serialization_alias=name, validation_alias=name)


class FrameLinks(BaseModel):
    overlay: str | None = None
    preview: str | None = None


class ItemLinks(FrameLinks):
    """The files of an item, by their names in `options.outputs`."""

    nifti: str | None = None
    nifti_per_prompt: Annotated[list[str] | None, _named("nifti-per-prompt")] = None
    seg: str | None = None
    contact_sheet: Annotated[str | None, _named("contact-sheet")] = None
    geojson: str | None = None


class ReusedShown(BaseModel):
    """An earlier score whose answer was used, by the job and the frame of that job for which it was sent."""

    job: str
    frame: int
    prompts: list[str] = Field(description="The prompts to which the answer belongs.")


class Provenance(BaseModel):
    """How the masks of a frame were made. It is only shown if a single item is requested."""

    endpoint: str | None = None
    model_version: str | None = None
    wire: str | None = Field(None, description="The wire format of the request: `image2d` or `lean2d`.")
    attempts: int | None = None
    timings_ms: dict[str, float] | None = Field(None, description="The duration of each stage in milliseconds.")


class FrameShown(Provenance):
    """A frame of an item with several frames.

    `instance` identifies the DICOM object of the frame, in the form that the option `identifiers` requests.
    `source_name` is the name of the frame's file, if the item was made from several files.
    """

    frame: int
    source_name: str | None = None
    state: ItemState
    instance: str | None = None
    error: ErrorShown | None = None
    masks: list[MaskShown] = []
    reused_from: list[ReusedShown] | None = None
    links: FrameLinks = FrameLinks()


class TurnShown(BaseModel):
    """How a stored slice was made an image: its axes were exchanged, then rows and columns were reversed."""

    transpose: bool
    flip_rows: bool
    flip_columns: bool


class GridShown(BaseModel):
    """The grid of the label volume, and where the frames are in it."""

    shape: tuple[int, int, int] = Field(description="The number of voxels along i, j and k.")
    axis: int = Field(description="The axis along which the volume is cut into frames, counted from 0.")
    places: list[int] = Field(description="The number of the slice along the axis, for each frame.")
    turn: TurnShown


class ItemShown(Provenance):
    """An item. An item with several frames has `frames` instead of `masks`.

    `members` are the custom ids of all submitted items of a series. `findings` are observations about the source, by
    code. `errors` are the reasons why requested files could not be made, by output. `intensity` is the name of the
    intensity window by which pixel values were converted to 8 bits.
    """

    item: int | None = Field(
        None,
        description="The number of the item in the job, counted from 0. Services before version 0.2 do not send it.",
    )
    custom_id: str
    source_name: str | None = None
    members: list[str] | None = None
    state: ItemState
    error: ErrorShown | None = None
    suspicion: float = Field(
        0.0, description="How likely it is that a mask of the item is wrong. It is 0 until the job has ended."
    )
    findings: dict[str, Any] = {}
    identifiers: dict[str, str] | None = None
    intensity: str | None = None
    masks: list[MaskShown] = []
    reused_from: list[ReusedShown] | None = None
    frames: list[FrameShown] | None = None
    errors: dict[str, ErrorShown] | None = None
    review: MarkShown | None = Field(None, description="Your own review. It is absent if there is none.")
    reviews: list[MarkShown] | None = Field(
        None, description="The reviews of other readers, if you have reviewed the item yourself."
    )
    grid: GridShown | None = Field(
        None, description="The grid of the label volume. Only sent with a single item that has the output `nifti`."
    )
    links: ItemLinks = ItemLinks()


class SubmittedJob(JobShown):
    """The job that a request has submitted."""

    items: list[ItemShown] | None = Field(
        None,
        description="The items, if the job ended while the request waited (`Prefer: wait`), their records, which "
        "contain the masks as run lengths, have at most 64 KiB, and your key has the scope `read`. Otherwise, "
        "request `links.items`.",
    )


class CompletedItemLinks(FrameLinks):
    self: str


class CompletedItem(BaseModel):
    """The data of an event `item`: an item that is completed. `masks` and `frames` are numbers."""

    job: str
    item: int = Field(description="The number of the item in the job, counted from 0.")
    custom_id: str
    source_name: str | None
    state: ItemState
    error: ErrorShown | None
    flags: dict[str, int] = Field(description="The number of masks with each flag.")
    masks: int
    frames: int
    links: CompletedItemLinks


class IgnoredShown(BaseModel):
    """A file that did not become an item, such as a report, a file of a viewer program or a segmentation."""

    custom_id: str = Field(description="The custom id of the submitted item that contains the file.")
    source_name: str | None = None
    reason: ErrorShown


class ItemList(BaseModel):
    items: list[ItemShown]
    next: str | None = None
    ignored: list[IgnoredShown] = Field(
        default=[], description="The files that did not become items. They are listed only on the first page."
    )


class UploadShown(BaseModel):
    id: str
    size: int
    sha256: str


class UploadList(BaseModel):
    uploads: list[UploadShown]
