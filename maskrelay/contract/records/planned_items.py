"""The records of a job's plan: the sources found in the uploads, and the items made from them."""

from typing import Any

from pydantic import Field

from maskrelay.contract.formats.sniff import Kind
from maskrelay.contract.record import (
    Amount,
    Failure,
    Number,
    Record,
)
from maskrelay.contract.records.dicom_facts import DicomFacts
from maskrelay.contract.records.outcomes import ArtifactRef
from maskrelay.contract.records.source_frames import Extent, Grid, Reading
from maskrelay.contract.records.source_pins import PinnedSource
from maskrelay.contract.vocabulary.outputs import Output


class Surveyed(Record):
    """A source that the survey found: a whole upload or referenced object, or a member of a zip archive."""

    #: The number of the submitted item that contains the source.
    upload: Number
    #: The object that is read, if the item is a reference.
    pinned: PinnedSource | None = None
    #: The member of the zip archive. None if the source is the whole upload.
    extent: Extent | None = None
    kind: Kind
    #: The number of bytes that must be read from storage for one image.
    size: Amount
    #: The number of images in the source. `reading` describes how to read each of them. Only its `index` differs
    #: between images.
    frames: Number = 1
    #: The bits per sample, or 0 if they were not determined.
    bits: int = 0
    reading: Reading = Reading()
    #: The facts from the header of a DICOM object.
    facts: DicomFacts | None = None
    #: The grid of a volume.
    grid: Grid | None = None
    #: The reason why the source cannot be read. None if it can.
    error: Failure | None = None
    #: Whether the source is not an image and is not meant to be one, such as the DICOMDIR next to DICOM files. It
    #: becomes an item only if the job has no other source.
    ignored: bool = False
    #: The name of the member of the zip archive, including its folders.
    name: str | None = None
    #: Observations about the source, by code.
    findings: dict[str, Any] = Field(default_factory=dict)


class IgnoredFile(Record):
    """A file that did not become an item, and the reason."""

    #: The custom id of the submitted item that contains the file.
    custom_id: str
    source_name: str | None = None
    reason: Failure


class PlannedItem(Record):
    """An item of the plan. An item that cannot be segmented has one frame, and that frame has the error of the item."""

    item: Number
    custom_id: str
    source_name: str | None = None
    #: The URL of a source by reference. None for an upload, and if the results must not contain UIDs, because a URL can
    #: contain some.
    source: str | None = None
    #: The URL of the first object of the item, into whose folder the files of the item are written. None unless the job
    #: has the option `store_beside`.
    beside: str | None = None
    #: The custom ids of the submitted items from which this item was made. Empty if the item was made from only one.
    members: tuple[str, ...] = ()
    #: The number of the item's first frame within the job.
    first: Number
    #: The number of frames.
    frames: Number
    kind: Kind = "still"
    outputs: tuple[Output, ...] = ()
    modality: str | None = None
    #: Observations that were made during planning, by code.
    findings: dict[str, Any] = Field(default_factory=dict)
    #: UIDs, or keyed hashes of UIDs, that link the result to its source.
    identifiers: dict[str, str] = Field(default_factory=dict)
    #: Whether the item is held because slices are missing. The frames of a held item are segmented, but no whole-item
    #: files are made.
    held: bool = False
    #: The position of the item's frames in space.
    grid: Grid | None = None


class Assembled(Record):
    """The whole-item files of one item."""

    item: Number
    #: The files by output. The output `nifti-per-prompt` has one file for each prompt. The key of such a file is
    #: `nifti-per-prompt-`, followed by the number of the prompt.
    files: dict[str, ArtifactRef] = Field(default_factory=dict)
    #: The SeriesInstanceUID of the DICOM SEG, if there is one.
    seg_series: str | None = None
    #: The reasons why requested files could not be made, by output.
    errors: dict[str, Failure] = Field(default_factory=dict)
