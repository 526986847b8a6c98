"""A job as stored: the accepted submission, its plan and its result."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from maskrelay.contract.formats.sniff import Kind
from maskrelay.contract.json_text import check_carried
from maskrelay.contract.record import (
    Amount,
    Failure,
    Number,
    Record,
)
from maskrelay.contract.records.source_frames import Extent, Reading
from maskrelay.contract.vocabulary.intensity_names import Intensity
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.contract.vocabulary.trained_targets import PromptWarning

JobState = Literal["accepted", "running", "cancelling", "finishing", "succeeded", "partial", "failed", "cancelled"]
ItemState = Literal["waiting", "running", "succeeded", "partial", "failed", "cancelled"]
Lane = Literal["interactive", "bulk"]
PartialSeries = Literal["fail", "best_effort", "hold"]
SliceAxis = Literal["axial", "coronal", "sagittal", 0, 1, 2]
BurnedIn = Literal["allow", "warn", "refuse"]
Identifiers = Literal["uids", "hashed", "none"]

TERMINAL: frozenset[str] = frozenset({"succeeded", "partial", "failed", "cancelled"})
#: A job of at most this many items uses the interactive lane unless bulk is requested.
INTERACTIVE_ITEMS = 20
#: The plan is written in parts of this many frames; part p covers the frames p·n … (p+1)·n-1.
FRAMES_PER_PART = 1000
#: The caller's own JSON object. It is returned as stored, so it holds only values that a response can represent.
Metadata = Annotated[dict[str, Any], AfterValidator(check_carried)]
RESEARCH_ONLY = "For research use only. Not for clinical use: no mask here may guide the care of a patient."


class Item(Record):
    """One upload with its prompts."""

    #: A storage key.
    source: str
    size: Amount
    sha256: str
    kind: Kind = "still"
    custom_id: str
    #: The file name, shown only to the caller.
    source_name: str | None = None
    prompts: tuple[str, ...]
    #: None: all of it is processed. In a redrive of a zip: the members to process by offset, each with the custom id
    #: of its item. Empty: it is present only as a part of another item's series.
    only: dict[int, str] | None = None


class CallbackTarget(Record):
    """Where events are sent."""

    url: str
    #: The caller's own secret, encrypted with the server key, or two of them separated by a blank; None: derived.
    sealed: str | None = None
    events: tuple[str, ...]


class PixelOptions(Record):
    """The options for how sources become frames."""

    #: The name of a preset, `none`, or limits; None: by modality and body part.
    intensity: Intensity | None = None
    #: Whether the DICOM objects of one series form one item.
    group_series: bool = True
    #: What to do with a series with missing slices.
    partial_series: PartialSeries = "fail"
    #: The axis along which a volume is cut; None: axial.
    slice_axis: SliceAxis | None = None
    #: Which volume of a 4-D volume.
    volume: Annotated[int, Field(ge=0)] | None = None
    #: Whether pixels of unequal sides are stretched to squares for the canvas.
    square_pixels: bool = False
    #: What to do with images that may show text.
    burned_in: BurnedIn = "warn"
    #: How results name the DICOM objects they belong to.
    identifiers: Identifiers = "uids"


class Submission(Record):
    """`job.json`: the accepted submission, written once."""

    id: str
    tenant: str
    created_at: datetime
    lane: Lane
    #: Empty: the defaults for each source.
    outputs: tuple[Output, ...]
    pixels: PixelOptions = PixelOptions()
    #: The only endpoint that may score its frames.
    endpoint: str | None = None
    #: Scores each prompt in a request of its own, because prompts of one request influence each other.
    one_prompt_per_request: bool = False
    metadata: Metadata = {}
    warnings: tuple[PromptWarning, ...] = ()
    callback: CallbackTarget | None = None
    total: Amount
    #: The bytes of its uploads.
    size: Amount = 0
    #: Inline for a small job; for a large one, lines of the object `items_key`. They are the uploads: the plan may make
    #: more items (from a zip) or fewer (from a series).
    items: tuple[Item, ...] = ()
    items_key: str | None = None
    #: When the job is cancelled if it has not ended.
    deadline: datetime | None = None
    #: Covers the options and the hashes of the uploads, to distinguish a repeat from another request.
    fingerprint: str
    #: The finished job whose failed items these are.
    redrive_of: str | None = None
    traceparent: str | None = None


class PlannedFrame(Record):
    """One line of a frame part: frame `frame` is image `index` of item `item`, read from `source`."""

    frame: Number
    item: Number
    index: Number = 0
    #: The number of frames of the item.
    of: Number = 1
    source: str
    #: The bytes that reading it takes.
    size: Amount
    sha256: str
    prompts: tuple[str, ...]
    extent: Extent | None = None
    reading: Reading = Reading()
    outputs: tuple[Output, ...] = ("mask", "overlay")
    square_pixels: bool = False
    #: The DICOM object it belongs to, as results name it.
    instance: str | None = None
    #: The file of a frame whose item was made of several files.
    source_name: str | None = None
    #: The reason why the item cannot be segmented; it becomes the frame's outcome.
    error: Failure | None = None


class Counts(Record):
    """The number of items by state."""

    total: Amount
    succeeded: Amount = 0
    partial: Amount = 0
    failed: Amount = 0
    cancelled: Amount = 0


class Frames(Record):
    """The number of frames by state. `planned` grows while the job is planned."""

    planned: Amount = 0
    waiting: Amount = 0
    leased: Amount = 0
    succeeded: Amount = 0
    failed: Amount = 0
    cancelled: Amount = 0


class FinalObject(Record):
    """An object under `final/` that `result.json` refers to."""

    key: str
    length: Amount
    sha256: str


class FlaggedItems(Record):
    """The items with a mask that has this flag, most suspicious first."""

    flag: str
    items: tuple[int, ...]


class Result(Record):
    """`result.json`: the final manifest, which never changes."""

    job: str
    tenant: str
    state: JobState
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime
    counts: Counts
    frames: Frames
    rescored: int
    #: Seconds by stage up to here (`rules/timings.py`).
    timings: dict[str, float] = {}
    reason: str | None = None
    #: One line per item, in item order (`ItemLine`).
    items: FinalObject
    #: Where each line of `items` begins: 8 bytes, big-endian.
    index: FinalObject
    #: How many masks have each flag.
    flags: dict[str, int] = {}
    #: One line per flag (`FlaggedItems`), with the numbers of its items.
    flagged: FinalObject | None = None
    #: One line per failed frame (`DeadLetter`); None if none failed.
    dead: FinalObject | None = None
    #: The names of the outcome parts that count.
    parts: FinalObject | None = None
    software: dict[str, str]
    pixels: dict[str, Any]
    #: The endpoints in use when the job ended; each outcome names its own.
    endpoints: tuple[dict[str, str], ...]
    metadata: Metadata = {}
    notice: str = RESEARCH_ONLY
