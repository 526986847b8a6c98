"""The plan of a job: the sources found in the uploads, and the items made of them."""

from typing import Any

from maskrelay.contract.dicom import DicomFacts
from maskrelay.contract.outcomes import Amount, ArtifactRef, Failure, Number, Record
from maskrelay.contract.outputs import Output
from maskrelay.contract.sources import Extent, Grid, Kind, Reading


class Surveyed(Record):
    """One source found in the upload of submitted item `upload`: the whole of it, or the member `extent` of a zip.

    frames: how many pictures it holds, all read as `reading` but for their number. size: bytes that reading one takes.
    bits: of one sample; 0 where it was not looked at. facts: of a DICOM object. grid: of a volume. error: it cannot be
    read. ignored: it is no picture and was not meant as one (a DICOMDIR beside its files): it becomes no item unless
    it is all there is. name: of a member of a zip, with its folders. findings: what was noticed of it, by code.
    """

    upload: Number
    extent: Extent | None = None
    kind: Kind
    size: Amount
    frames: Number = 1
    bits: int = 0
    reading: Reading = Reading()
    facts: DicomFacts | None = None
    grid: Grid | None = None
    error: Failure | None = None
    ignored: bool = False
    name: str | None = None
    findings: dict[str, Any] = {}


class IgnoredFile(Record):
    """A file that became no item, of the submitted item `custom_id`. reason: why not."""

    custom_id: str
    source_name: str | None = None
    reason: Failure


class PlannedItem(Record):
    """One item of the plan: `frames` frames from number `first` on; at least one, which then carries its error.

    members: the custom ids of the submitted items it was made of, if it is not just the one it is called by. findings:
    what the plan noticed, by code. identifiers: UIDs, or keyed hashes of them, that link its result back. held: its
    whole-item files are not made. grid: where its frames lie in space.
    """

    item: Number
    custom_id: str
    source_name: str | None = None
    members: tuple[str, ...] = ()
    first: Number
    frames: Number
    kind: Kind = "still"
    outputs: tuple[Output, ...] = ()
    modality: str | None = None
    findings: dict[str, Any] = {}
    identifiers: dict[str, str] = {}
    held: bool = False
    grid: Grid | None = None


class Assembled(Record):
    """The whole-item files of one item, by output (`nifti-per-prompt` by `nifti-per-prompt-{prompt number}`).

    errors: what was asked for and could not be made.
    """

    item: Number
    files: dict[str, ArtifactRef] = {}
    errors: dict[str, Failure] = {}
