"""A job as it is accepted (storage), and as it is shown to its caller (HTTP)."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from maskrelay.contract.outcomes import Record

JobState = Literal["accepted", "running", "cancelling", "finishing", "succeeded", "partial", "failed", "cancelled"]
ItemState = Literal["waiting", "running", "succeeded", "partial", "failed", "cancelled"]
Lane = Literal["interactive", "bulk"]
Output = Literal["mask", "overlay", "probability"]

TERMINAL: frozenset[str] = frozenset({"succeeded", "partial", "failed", "cancelled"})
#: A job of at most this many items goes to the interactive lane unless bulk is asked for.
INTERACTIVE_ITEMS = 20
#: The plan is written in parts of this many frames; part p covers the frames p·n … (p+1)·n-1.
FRAMES_PER_PART = 1000
RESEARCH_ONLY = "For research use only. Not for clinical use: no mask here may guide the care of a patient."


class Item(Record):
    """One source with its prompts. `source` is a storage key; `source_name` is shown to the caller only."""

    source: str
    size: int
    sha256: str
    custom_id: str
    source_name: str | None = None
    prompts: tuple[str, ...]


class CallbackTarget(Record):
    """Where events go. `sealed`: the caller's own secret under the server key; None: the derived one."""

    url: str
    sealed: str | None = None
    events: tuple[str, ...]


class Submission(Record):
    """`job.json`: everything that was accepted, written once.

    `items` are inline for a small job; for a large one they are lines of the object `items_key`.
    `endpoint` is the only one its frames may be scored at.
    `fingerprint` covers options and hashes of uploads, so that a repeat can be told from another request.
    """

    id: str
    tenant: str
    created_at: datetime
    lane: Lane
    outputs: tuple[Output, ...]
    endpoint: str | None = None
    metadata: dict[str, Any] = {}
    callback: CallbackTarget | None = None
    total: int
    items: tuple[Item, ...] = ()
    items_key: str | None = None
    fingerprint: str
    traceparent: str | None = None


class PlannedFrame(Record):
    """One line of a frame part: frame `frame` is picture `index` of item `item`, to be read from `source`."""

    frame: int
    item: int
    index: int = 0
    source: str
    size: int
    sha256: str
    prompts: tuple[str, ...]


class Counts(Record):
    """Items by state."""

    total: int
    succeeded: int = 0
    partial: int = 0
    failed: int = 0
    cancelled: int = 0


class Frames(Record):
    """Frames by state; `planned` grows while the plan is made."""

    planned: int = 0
    waiting: int = 0
    leased: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


class FinalObject(Record):
    """An object under `final/` that `result.json` vouches for."""

    key: str
    length: int
    sha256: str


class Result(Record):
    """`result.json`: the final manifest. What it says never changes.

    `endpoints` are those in use when it ended; each outcome names its own.
    `items` holds one line an item in item order (`ItemLine`), `index` where each begins: 8 bytes, big-endian.
    """

    job: str
    tenant: str
    state: JobState
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime
    counts: Counts
    frames: Frames
    rescored: int
    reason: str | None = None
    items: FinalObject
    index: FinalObject
    software: dict[str, str]
    pixels: dict[str, Any]
    endpoints: tuple[dict[str, str], ...]
    metadata: dict[str, Any] = {}
    notice: str = RESEARCH_ONLY


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


class JobShown(BaseModel):
    """The job as the API answers it."""

    id: str
    state: JobState
    planned: bool
    created_at: datetime
    counts: Counts
    frames: Frames
    timings: dict[str, float] = Field(default={}, description="Seconds by stage.")
    eta_s: float | None = None
    error: ErrorShown | None = None
    metadata: dict[str, Any] = {}
    callback: CallbackShown | None = None
    links: JobLinks


class JobList(BaseModel):
    jobs: list[JobShown]
    next: str | None = None


class MaskLinks(BaseModel):
    mask: str | None = None
    probability: str | None = None


class MaskShown(BaseModel):
    """`bbox` is [x, y, width, height] in source pixels; `mean_probability` is 0..1."""

    prompt: str
    category: str | None
    empty: bool
    area_px: int
    bbox: tuple[int, int, int, int] | None
    centroid: tuple[float, float] | None
    components: int
    mean_probability: float
    border: list[str]
    flags: list[str]
    links: MaskLinks


class ItemLinks(BaseModel):
    overlay: str | None = None


class FrameShown(BaseModel):
    frame: int
    state: ItemState
    error: ErrorShown | None = None
    masks: list[MaskShown] = []
    links: ItemLinks = ItemLinks()


class ItemShown(BaseModel):
    """One item; an item of several frames has `frames` in place of `masks`."""

    custom_id: str
    source_name: str | None = None
    state: ItemState
    error: ErrorShown | None = None
    masks: list[MaskShown] = []
    frames: list[FrameShown] | None = None
    links: ItemLinks = ItemLinks()


class ItemList(BaseModel):
    items: list[ItemShown]
    next: str | None = None


class UploadShown(BaseModel):
    id: str
    size: int
    sha256: str


class UploadList(BaseModel):
    uploads: list[UploadShown]
