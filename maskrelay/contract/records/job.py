"""The stored records of a job: the accepted submission, its planned frames and its result."""

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
from maskrelay.contract.records.runs import Run
from maskrelay.contract.records.source_frames import Extent, Reading
from maskrelay.contract.records.source_pins import Pin, PinnedSource, is_reference
from maskrelay.contract.vocabulary.intensity_names import Intensity
from maskrelay.contract.vocabulary.outputs import ItemOutput, Output
from maskrelay.contract.vocabulary.trained_targets import PromptWarning

JobState = Literal["accepted", "running", "cancelling", "finishing", "succeeded", "partial", "failed", "cancelled"]
ItemState = Literal["waiting", "running", "succeeded", "partial", "failed", "cancelled"]
Lane = Literal["interactive", "bulk"]
PartialSeries = Literal["fail", "best_effort", "hold"]
SliceAxis = Literal["axial", "coronal", "sagittal", 0, 1, 2]
BurnedIn = Literal["allow", "warn", "refuse"]
Identifiers = Literal["uids", "hashed", "none", "site"]

TERMINAL: frozenset[str] = frozenset({"succeeded", "partial", "failed", "cancelled"})
#: The largest number of items, and also of frames, that a job in the interactive lane has.
INTERACTIVE_ITEMS = 20
#: The number n of frames in each part of the plan. Part p contains the frames from p·n to (p+1)·n-1.
FRAMES_PER_PART = 1000
#: A JSON object that the caller sent. It is returned unchanged, so it may contain only values that a response can
#: represent.
Metadata = Annotated[dict[str, Any], AfterValidator(check_carried)]
RESEARCH_ONLY = "For research use only. Not for clinical use: no mask here may guide the care of a patient."


class ItemOptions(Record):
    """The options of one item that override those of the job. None means that the option of the job applies."""

    outputs: tuple[ItemOutput, ...] | None = None
    intensity: Intensity | None = None
    slice_axis: SliceAxis | None = None
    volume: Annotated[int, Field(ge=0)] | None = None
    square_pixels: bool | None = None
    burned_in: BurnedIn | None = None


class Item(Record):
    """One source with its prompts, as it was submitted."""

    #: The storage key of the upload, or the URL of a source by reference (see `is_reference`).
    source: str
    #: The size in bytes. 0 for a source by reference, whose size is not known at submission.
    size: Amount
    #: The hash of the upload. Empty for a source by reference.
    sha256: str
    #: The kind of the upload. For a source by reference, planning determines it.
    kind: Kind = "still"
    #: The name of the credential with which a source by reference is read.
    credential: str | None = None
    #: The version of a source by reference, if it was known at submission. Otherwise, planning finds it.
    pin: Pin | None = None
    custom_id: str
    #: The file name, which is shown only to the caller.
    source_name: str | None = None
    prompts: tuple[str, ...]
    #: The members of a zip archive that a redrive processes. The key is the offset of the member, and the value is the
    #: custom id of its item. None means that the whole upload is processed. An empty mapping means that the upload is
    #: not an item itself, but belongs to a series with another item.
    only: dict[int, str] | None = None
    #: The item's own options. None if all options are those of the job (see `rules/item_options.py`).
    options: ItemOptions | None = None


class CallbackTarget(Record):
    """The receiver of a job's events."""

    url: str
    #: The caller's own secret, or two secrets that are separated by a space. The text is encrypted with the server key.
    #: None means that the secret is derived from the server key.
    sealed: str | None = None
    events: tuple[str, ...]


class PixelOptions(Record):
    """The options that determine how sources are converted to frames."""

    #: The name of a preset, `none`, or explicit limits. None means that the preset is chosen by the modality and the
    #: body part.
    intensity: Intensity | None = None
    #: Whether the DICOM objects of a series are combined into one item.
    group_series: bool = True
    #: How a series with missing slices is processed.
    partial_series: PartialSeries = "fail"
    #: The axis along which a volume is cut into slices. None means axial.
    slice_axis: SliceAxis | None = None
    #: The number of the volume to use in a file with several volumes, counted from 0.
    volume: Annotated[int, Field(ge=0)] | None = None
    #: Whether pixels with sides of different length are stretched to squares on the canvas.
    square_pixels: bool = False
    #: How images that may show burned-in text are processed.
    burned_in: BurnedIn = "warn"
    #: The form in which results identify DICOM objects.
    identifiers: Identifiers = "uids"


class Submission(Record):
    """`job.json`: the accepted submission, written once."""

    id: str
    tenant: str
    created_at: datetime
    lane: Lane
    #: The requested outputs. If there are none, each source gets the default outputs for its kind.
    outputs: tuple[Output, ...]
    pixels: PixelOptions = PixelOptions()
    #: The only endpoint that may score the job's frames. None means that any endpoint of the tenant may.
    endpoint: str | None = None
    #: Whether each prompt is sent in a separate request. Prompts in the same request influence each other's masks.
    one_prompt_per_request: bool = False
    #: Whether answers of earlier scores may be used for frames of this job, and those of this job for later frames.
    reuse: bool = True
    metadata: Metadata = {}
    warnings: tuple[PromptWarning, ...] = ()
    callback: CallbackTarget | None = None
    #: The number of submitted items.
    total: Amount
    #: The total size of the uploads in bytes.
    size: Amount = 0
    #: The submitted items of a small job: one for each upload. The plan may make several items from one upload (a zip
    #: archive), or one item from several uploads (a series).
    items: tuple[Item, ...] = ()
    #: The key of the object that contains the submitted items of a large job, one per line. None for a small job.
    items_key: str | None = None
    #: Whether the job only makes a forecast. Then it ends without items.
    dry_run: bool = False
    #: Where the submitted items of a run are. None for any other job.
    run: Run | None = None
    #: The time at which the job is cancelled if it has not ended before.
    deadline: datetime | None = None
    #: A hash of the options, and of the hashes of the uploads or the URLs of sources by reference. It is used to
    #: recognise a repeated request.
    fingerprint: str
    #: The finished job whose failed items this job processes again. None if this job is not a redrive.
    redrive_of: str | None = None
    #: The name of the credential of the archive to which the segmentations are sent when the job has ended, or of the
    #: store to which all files are then written.
    store_to: str | None = None
    #: The prefix of that store. None if the credential has only one.
    store_prefix: str | None = None
    #: Whether the files of each item are written into the folder of its source instead.
    store_beside: bool = False
    traceparent: str | None = None

    @property
    def shows_urls(self) -> bool:
        """Whether results may contain the URLs of sources by reference, and names from them.

        A URL can contain identifiers, which the caller may not want.
        """
        return self.pixels.identifiers == "uids"

    def shown_name(self, item: Item, name: str | None) -> str | None:
        """Return the name of an item's source, or of one of its members, if results may contain it."""
        return name if self.shows_urls or not is_reference(item.source) else None


def accepted_at(now: datetime) -> datetime:
    """Return the time `now` for `Submission.created_at`, in whole milliseconds, as the ledger stores it."""
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class PlannedFrame(Record):
    """One line of a part of the plan, which describes a frame and how to read it."""

    #: The number of the frame within the job.
    frame: Number
    #: The number of the frame's item within the job.
    item: Number
    #: The number of the frame within its item.
    index: Number = 0
    #: The number of frames in the item.
    of: Number = 1
    #: The storage key of the upload, or the URL of a source by reference, as in the submitted item.
    source: str
    #: The object that is read, if the source is a reference.
    pinned: PinnedSource | None = None
    #: The number of bytes that must be read for this frame.
    size: Amount
    #: The hash of the upload. Empty for a source by reference.
    sha256: str
    prompts: tuple[str, ...]
    extent: Extent | None = None
    reading: Reading = Reading()
    outputs: tuple[Output, ...] = ("mask", "overlay")
    square_pixels: bool = False
    #: The name that results use for the DICOM object of the frame.
    instance: str | None = None
    #: The name of the frame's file, if the item was made from several files.
    source_name: str | None = None
    #: The error of an item that cannot be segmented. It becomes the outcome of the frame.
    error: Failure | None = None

    @property
    def opened_from(self) -> str | PinnedSource:
        """What is opened to read the frame: the storage key of an upload, or a pinned object."""
        return self.pinned or self.source


class Counts(Record):
    """The number of items by state."""

    total: Amount
    succeeded: Amount = 0
    partial: Amount = 0
    failed: Amount = 0
    cancelled: Amount = 0


class Frames(Record):
    """The number of frames by state. `planned` grows while the job is being planned."""

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


#: The name under which the items with any flag are listed. No flag has this name.
ANY_FLAG = "any"


class FlaggedItems(Record):
    """A flag, and the numbers of the items that have a mask with it. The item with the highest suspicion is first.

    The flag ANY_FLAG stands for all flags.
    """

    flag: str
    items: tuple[int, ...]


class Result(Record):
    """`result.json`: the final manifest of a job. It never changes."""

    job: str
    tenant: str
    state: JobState
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime
    counts: Counts
    frames: Frames
    rescored: int
    #: The duration of each stage in seconds. The last stage ends when the result is written (see `rules/timings.py`).
    timings: dict[str, float] = {}
    #: Why the job was cancelled.
    reason: str | None = None
    #: One line for each item, in the order of the items (`ItemLine`).
    items: FinalObject
    #: The offset of each line in `items`, as 8 bytes in big-endian order.
    index: FinalObject
    #: The number of masks with each flag.
    flags: dict[str, int] = {}
    #: One line for each flag, with the numbers of its items (`FlaggedItems`).
    flagged: FinalObject | None = None
    #: One line for each failed frame (`DeadLetter`). None if no frame failed.
    dead: FinalObject | None = None
    #: The names of the outcome parts that contain visible outcomes.
    parts: FinalObject | None = None
    #: The run card, if the output `report` was requested.
    report: FinalObject | None = None
    software: dict[str, str]
    pixels: dict[str, Any]
    #: The endpoints that were configured when the job ended. Each outcome names the endpoint that scored it.
    endpoints: tuple[dict[str, str], ...]
    metadata: Metadata = {}
    notice: str = RESEARCH_ONLY
