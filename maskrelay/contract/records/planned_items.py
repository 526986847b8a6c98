"""The plan of a job: the sources found in the uploads, and the items made of them."""

from typing import Any

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
from maskrelay.contract.vocabulary.outputs import Output


class Surveyed(Record):
    """A source found in the upload of submitted item `upload`: the whole upload, or the member `extent` of a zip."""

    upload: Number
    extent: Extent | None = None
    kind: Kind
    #: The bytes that reading one image takes.
    size: Amount
    #: The number of images; all are read as `reading` describes, except for their number.
    frames: Number = 1
    #: Bits per sample; 0 if they were not determined.
    bits: int = 0
    reading: Reading = Reading()
    #: The header of a DICOM object.
    facts: DicomFacts | None = None
    #: The grid of a volume.
    grid: Grid | None = None
    #: Why it cannot be read.
    error: Failure | None = None
    #: It is not an image and not meant as one (a DICOMDIR next to its files); it becomes an item only if it is
    #: the only source.
    ignored: bool = False
    #: The name of a member of a zip, with its folders.
    name: str | None = None
    #: Observations, by code.
    findings: dict[str, Any] = {}


class IgnoredFile(Record):
    """A file of the submitted item `custom_id` that did not become an item. reason: why not."""

    custom_id: str
    source_name: str | None = None
    reason: Failure


class PlannedItem(Record):
    """An item of the plan: `frames` frames from number `first` on; at least one, which holds the item's error."""

    item: Number
    custom_id: str
    source_name: str | None = None
    #: The custom ids of the submitted items it was made of, unless that is only the one that gives its id.
    members: tuple[str, ...] = ()
    first: Number
    frames: Number
    kind: Kind = "still"
    outputs: tuple[Output, ...] = ()
    modality: str | None = None
    #: Observations of the plan, by code.
    findings: dict[str, Any] = {}
    #: UIDs, or keyed hashes of them, that link the result to its source.
    identifiers: dict[str, str] = {}
    #: Its whole-item files are not made.
    held: bool = False
    #: The position of its frames in space.
    grid: Grid | None = None


class Assembled(Record):
    """The whole-item files of one item, by output (`nifti-per-prompt` by `nifti-per-prompt-{prompt number}`)."""

    item: Number
    files: dict[str, ArtifactRef] = {}
    #: The requested files that could not be made.
    errors: dict[str, Failure] = {}
