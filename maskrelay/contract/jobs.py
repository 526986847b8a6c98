"""A job as stored: the accepted submission, its plan and its result."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from maskrelay.contract.intensity import Intensity
from maskrelay.contract.jsontext import check_carried
from maskrelay.contract.outcomes import Amount, Failure, Number, Record
from maskrelay.contract.outputs import Output
from maskrelay.contract.sources import Extent, Kind, Reading
from maskrelay.contract.targets import PromptWarning

JobState = Literal["accepted", "running", "cancelling", "finishing", "succeeded", "partial", "failed", "cancelled"]
ItemState = Literal["waiting", "running", "succeeded", "partial", "failed", "cancelled"]
Lane = Literal["interactive", "bulk"]

TERMINAL: frozenset[str] = frozenset({"succeeded", "partial", "failed", "cancelled"})
#: A job of at most this many items goes to the interactive lane unless bulk is asked for.
INTERACTIVE_ITEMS = 20
#: The plan is written in parts of this many frames; part p covers the frames p·n … (p+1)·n-1.
FRAMES_PER_PART = 1000
#: The caller's own JSON object. It is answered as it was stored, so it holds only what an answer can carry.
Metadata = Annotated[dict[str, Any], AfterValidator(check_carried)]
RESEARCH_ONLY = "For research use only. Not for clinical use: no mask here may guide the care of a patient."


class Item(Record):
    """One upload with its prompts. `source` is a storage key; `source_name` is shown to the caller only.

    only: None, all of it is wanted. Of a zip that is done again: the wanted members by where they begin, each with
    what its item was called. Empty: it is there as a part of another's series alone.
    """

    source: str
    size: Amount
    sha256: str
    kind: Kind = "still"
    custom_id: str
    source_name: str | None = None
    prompts: tuple[str, ...]
    only: dict[int, str] | None = None


class CallbackTarget(Record):
    """Where events go. `sealed`: the caller's own secret under the server key, or two of them with a
    blank between; None: the derived one.
    """

    url: str
    sealed: str | None = None
    events: tuple[str, ...]


class PixelOptions(Record):
    """How sources become frames, where the caller has a say.

    intensity: the name of a preset, `none`, or limits; None: by modality and body part. group_series: DICOM objects of
    one series are one item. partial_series: what becomes of a series with slices missing. slice_axis: along which a
    volume is cut, None: axial. volume: which one of a 4-D volume. square_pixels: pixels of unequal sides are stretched
    to squares for the canvas. burned_in: what becomes of pictures that may show text. identifiers: how results name
    the DICOM objects they belong to.
    """

    intensity: Intensity | None = None
    group_series: bool = True
    partial_series: Literal["fail", "best_effort", "hold"] = "fail"
    slice_axis: Literal["axial", "coronal", "sagittal", 0, 1, 2] | None = None
    volume: Annotated[int, Field(ge=0)] | None = None
    square_pixels: bool = False
    burned_in: Literal["allow", "warn", "refuse"] = "warn"
    identifiers: Literal["uids", "hashed", "none"] = "uids"


class Submission(Record):
    """`job.json`: everything that was accepted, written once.

    `items` are inline for a small job; for a large one they are lines of the object `items_key`. They are what was
    uploaded: what the plan makes of them can be more items (a zip) or fewer (a series). `outputs`: empty, by source.
    `size`: bytes of its uploads. `endpoint` is the only one its frames may be scored at. `one_prompt_per_request`:
    prompts of one request influence each other. `deadline`: when it is cancelled if it has not ended. `redrive_of`: the
    finished job whose failed items these are.
    `fingerprint` covers options and hashes of uploads, so that a repeat can be told from another request.
    """

    id: str
    tenant: str
    created_at: datetime
    lane: Lane
    outputs: tuple[Output, ...]
    pixels: PixelOptions = PixelOptions()
    endpoint: str | None = None
    one_prompt_per_request: bool = False
    metadata: Metadata = {}
    warnings: tuple[PromptWarning, ...] = ()
    callback: CallbackTarget | None = None
    total: Amount
    size: Amount = 0
    items: tuple[Item, ...] = ()
    items_key: str | None = None
    deadline: datetime | None = None
    fingerprint: str
    redrive_of: str | None = None
    traceparent: str | None = None


class PlannedFrame(Record):
    """One line of a frame part: frame `frame` is picture `index` of item `item`, to be read from `source`.

    of: how many frames the item has. size: bytes that reading it takes. instance: the DICOM object it belongs to, as
    results name it. source_name: the file of a frame whose item was made of several files. error: the plan found that
    the item cannot be segmented; it is the frame's outcome.
    """

    frame: Number
    item: Number
    index: Number = 0
    of: Number = 1
    source: str
    size: Amount
    sha256: str
    prompts: tuple[str, ...]
    extent: Extent | None = None
    reading: Reading = Reading()
    outputs: tuple[Output, ...] = ("mask", "overlay")
    square_pixels: bool = False
    instance: str | None = None
    source_name: str | None = None
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
    """An object under `final/` that `result.json` vouches for."""

    key: str
    length: Amount
    sha256: str


class FlaggedItems(Record):
    """The items with a mask that carries this flag, most suspicious first."""

    flag: str
    items: tuple[int, ...]


class Result(Record):
    """`result.json`: the final manifest. What it says never changes.

    `timings`: seconds by stage up to here (`rules/timings.py`).
    `endpoints` are those in use when it ended; each outcome names its own.
    `items` holds one line an item in item order (`ItemLine`), `index` where each begins: 8 bytes, big-endian.
    `flags`: how many masks carry each. `flagged`: a line a flag (`FlaggedItems`), with its items' numbers. `dead`: a
    line a failed frame (`DeadLetter`); None where none failed. `parts`: the names of the outcome parts that count.
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
    timings: dict[str, float] = {}
    reason: str | None = None
    items: FinalObject
    index: FinalObject
    flags: dict[str, int] = {}
    flagged: FinalObject | None = None
    dead: FinalObject | None = None
    parts: FinalObject | None = None
    software: dict[str, str]
    pixels: dict[str, Any]
    endpoints: tuple[dict[str, str], ...]
    metadata: Metadata = {}
    notice: str = RESEARCH_ONLY
