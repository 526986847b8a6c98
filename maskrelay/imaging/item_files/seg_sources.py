"""The source frames of a segmentation, read from the headers of the source objects."""

import math
import re
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import InvalidOperation
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.valuerep import format_number_as_ds

from maskrelay.errors import ArtifactUnsupported

#: Returns an object's header by its number: a Dataset that need not hold pixels.
HeaderOf = Callable[[int], Dataset]
#: The exceptions of pydicom for a value that cannot be read.
_UNREADABLE = (
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    OverflowError,
    NotImplementedError,
    InvalidOperation,
    struct.error,
)
#: Leading zeros violate the standard but occur in practice.
_UID = re.compile(r"[0-9][0-9.]{0,63}")
#: Decimal strings, character for character as the source has them.
Decimals = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One frame of a source object."""

    series: str
    sop_class: str
    sop_instance: str
    #: The frame's number within its object, from 1; None in an object of one frame.
    number: int | None
    size: tuple[int, int]
    #: As the source gives it; present only together with the orientation.
    position: Decimals | None
    #: As the source gives it; present only together with the position.
    orientation: Decimals | None
    #: Of the pixels, DICOM keyword and decimals; may be empty.
    measures: tuple[tuple[str, Decimals], ...]


@contextmanager
def quiet() -> Iterator[None]:
    """Accept odd values in a source without pydicom's warning for each. Affects all threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_source_header(source: bytes | Path) -> Dataset:
    """Return a source object's header without its pixels. Raises ArtifactUnsupported if it cannot be read."""
    with quiet():
        try:
            file = BytesIO(source) if isinstance(source, bytes) else source
            return pydicom.dcmread(file, stop_before_pixels=True, force=True)
        except (*_UNREADABLE, InvalidDicomError, OSError, EOFError, struct.error):
            raise ArtifactUnsupported("The header of a source object cannot be read.") from None


def source_frames(frames: Sequence[tuple[int, int]], header_of: HeaderOf) -> list[SourceFrame]:
    """Return the frames of an item, each given as (object's number, frame in it from 0).

    Adjacent frames of one object share a read of its header. Raises ArtifactUnsupported for objects of several studies,
    frames of reference or sizes, and for a missing tag.
    """
    found: list[SourceFrame] = []
    header, held = Dataset(), -1
    spaces: set[tuple[str, str | None]] = set()
    for number, frame in frames:
        if number != held:
            header, held = header_of(number), number
        with quiet():
            found.append(_frame(header, frame))
            spaces.add((_needed_uid(header, "StudyInstanceUID"), uid_of(header, "FrameOfReferenceUID")))
    if len(spaces) > 1 or len({frame.size for frame in found}) > 1:
        raise ArtifactUnsupported("A DICOM SEG needs frames of one study, one frame of reference and one size.")
    return found


def _frame(header: Dataset, frame: int) -> SourceFrame:
    count = value_of(header, "NumberOfFrames")
    several = isinstance(count, int) and count > 1
    grouped = "PerFrameFunctionalGroupsSequence" in header
    # without functional groups, a multi-frame object has one position for all frames, which is useless
    placed = grouped or not several
    position = _decimals(_macro(header, frame, "PlanePositionSequence"), "ImagePositionPatient", 3) if placed else None
    orientation = _decimals(_macro(header, frame, "PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    return SourceFrame(
        series=_needed_uid(header, "SeriesInstanceUID"),
        sop_class=_needed_uid(header, "SOPClassUID"),
        sop_instance=_needed_uid(header, "SOPInstanceUID"),
        number=frame + 1 if several or grouped else None,
        size=(_number(header, "Rows"), _number(header, "Columns")),
        position=position if orientation else None,
        orientation=orientation if position else None,
        measures=_measures(_macro(header, frame, "PixelMeasuresSequence")),
    )


def _measures(group: Dataset) -> tuple[tuple[str, Decimals], ...]:
    """Spacing and thickness, or neither: one alone is not valid. The default thickness is the slice distance."""
    spacing, apart = _decimals(group, "PixelSpacing", 2), _decimals(group, "SpacingBetweenSlices", 1)
    thickness = _decimals(group, "SliceThickness", 1) or apart
    if not spacing or not thickness:
        return ()
    measures = (("PixelSpacing", spacing), ("SliceThickness", thickness))
    return (*measures, ("SpacingBetweenSlices", apart)) if apart else measures


def _macro(header: Dataset, frame: int, keyword: str) -> Dataset:
    """The frame's own functional group, else the shared one; the header itself if the object has no groups."""
    per_frame = _items(header, "PerFrameFunctionalGroupsSequence")
    if not per_frame:
        return header
    for groups in (*per_frame[frame : frame + 1], *_items(header, "SharedFunctionalGroupsSequence")):
        for item in _items(groups, keyword):
            return item
    return Dataset()


def _items(header: Dataset, keyword: str) -> Sequence[Dataset]:
    items = value_of(header, keyword)
    return items if isinstance(items, DicomSequence) else []


def _decimals(group: Dataset, keyword: str, count: int) -> Decimals | None:
    """`count` finite numbers as decimal strings, None if the group has anything else."""
    value = value_of(group, keyword)
    try:
        values = [value] if count == 1 else list(value)
        if len(values) != count or not all(math.isfinite(number) for number in values):
            return None
        return tuple(_decimal(number) for number in values)
    except _UNREADABLE:
        return None


def _decimal(number: Any) -> str:
    text = str(number)
    return text if len(text) <= 16 else format_number_as_ds(float(number))


def value_of(header: Dataset, keyword: str) -> Any:
    """Return the tag's value; None if it is absent, empty or unreadable."""
    try:
        value = header.get(keyword)
    except _UNREADABLE:
        return None
    return None if value in ("", []) else value


def copy_value(header: Dataset, source: Dataset, keyword: str) -> bool:
    """Copy the source's value to `header` if it can be read and written, and return whether it was copied."""
    value = value_of(source, keyword)
    alone, written = Dataset(), DicomBytesIO()
    written.is_little_endian, written.is_implicit_VR = True, False
    try:
        setattr(alone, keyword, value)
        write_dataset(written, alone, "utf8")
    except _UNREADABLE:
        return False
    if value is not None:
        setattr(header, keyword, value)
    return value is not None


def uid_of(header: Dataset, keyword: str) -> str | None:
    """Return the tag's UID; None if it is absent or invalid."""
    value = value_of(header, keyword)
    return str(value) if isinstance(value, str) and _UID.fullmatch(value) else None


def _needed_uid(header: Dataset, keyword: str) -> str:
    uid = uid_of(header, keyword)
    if uid is None:
        raise ArtifactUnsupported(f"The source's {keyword} is missing or unreadable.")
    return uid


def _number(header: Dataset, keyword: str) -> int:
    value = value_of(header, keyword)
    if not isinstance(value, int):
        raise ArtifactUnsupported(f"The source's {keyword} is missing or unreadable.")
    return int(value)
