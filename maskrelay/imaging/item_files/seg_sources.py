"""The source frames of a segmentation, read from the headers of the source objects."""

import math
import re
import struct
from collections.abc import Callable, Sequence
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
from maskrelay.imaging.dicom.damage import quiet
from maskrelay.imaging.spacing import is_length

#: A function that returns the header of the source object with a given number. The Dataset need not contain pixels.
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
#: The form of UIDs. Leading zeros are accepted, because they occur in practice although the standard forbids them.
_UID = re.compile(r"[0-9][0-9.]{0,63}")
#: Decimal strings, exactly as they are in the source. Only strings of more than 16 characters are shortened.
Decimals = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One frame of a source object."""

    series: str
    sop_class: str
    sop_instance: str
    #: The number of the frame within its object, counted from 1. None if the object has one frame.
    number: int | None
    #: (rows, columns).
    size: tuple[int, int]
    #: ImagePositionPatient. None if the source has no position or no orientation.
    position: Decimals | None
    #: ImageOrientationPatient. None if the source has no position or no orientation.
    orientation: Decimals | None
    #: The measures of the pixels, such as PixelSpacing, each as a DICOM keyword with its decimal strings. May be empty.
    measures: tuple[tuple[str, Decimals], ...]


def read_source_header(source: bytes | Path) -> Dataset:
    """Return the header of a source object without its pixels. Raises ArtifactUnsupported if it cannot be read."""
    with quiet():
        try:
            file = BytesIO(source) if isinstance(source, bytes) else source
            return pydicom.dcmread(file, stop_before_pixels=True, force=True)
        except (*_UNREADABLE, InvalidDicomError, OSError, EOFError, struct.error):
            raise ArtifactUnsupported("The header of a source object cannot be read.") from None


def source_frames(frames: Sequence[tuple[int, int]], header_of: HeaderOf) -> list[SourceFrame]:
    """Return the source frames of an item.

    `frames` contains, for each frame, the number of its object and the number of the frame within that object, counted
    from 0. The header is read once for consecutive frames of the same object. Raises ArtifactUnsupported if the objects
    are of several studies, frames of reference or sizes, or if a required tag is missing.
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
    # without functional groups, a multi-frame object has only one position for all frames, which cannot be used
    placed = grouped or not several
    position = _decimals(_macro(header, frame, "PlanePositionSequence"), "ImagePositionPatient", 3) if placed else None
    orientation = _orientation(_macro(header, frame, "PlaneOrientationSequence"))
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


def _orientation(group: Dataset) -> Decimals | None:
    """Return ImageOrientationPatient, or None if it is missing or contains only zeros, as some programs write it."""
    found = _decimals(group, "ImageOrientationPatient", 6)
    return found if found and any(float(number) for number in found) else None


def _measures(group: Dataset) -> tuple[tuple[str, Decimals], ...]:
    """Return the pixel spacing and the slice thickness, or an empty tuple if one of them is missing.

    One without the other would not be valid. If the distance between slices is known, it is returned too, and it
    replaces a missing thickness. A length that is not plausible is considered missing, because a segmentation must not
    contain a length that is not positive.
    """
    spacing, apart = _lengths(group, "PixelSpacing", 2), _lengths(group, "SpacingBetweenSlices", 1)
    thickness = _lengths(group, "SliceThickness", 1) or apart
    if not spacing or not thickness:
        return ()
    measures = (("PixelSpacing", spacing), ("SliceThickness", thickness))
    return (*measures, ("SpacingBetweenSlices", apart)) if apart else measures


def _macro(header: Dataset, frame: int, keyword: str) -> Dataset:
    """Return the functional group of a frame, or the shared one if the frame has none.

    If the object has no functional groups, return the header itself.
    """
    per_frame = _items(header, "PerFrameFunctionalGroupsSequence")
    shared = _items(header, "SharedFunctionalGroupsSequence")
    if not per_frame and not shared:
        return header
    for groups in (*per_frame[frame : frame + 1], *shared):
        for item in _items(groups, keyword):
            return item
    return Dataset()


def _items(header: Dataset, keyword: str) -> Sequence[Dataset]:
    items = value_of(header, keyword)
    return items if isinstance(items, DicomSequence) else []


def _lengths(group: Dataset, keyword: str, count: int) -> Decimals | None:
    """Return the value as `_decimals` does, or None if a number is not a plausible length."""
    found = _decimals(group, keyword, count)
    return found if found and all(is_length(float(number)) for number in found) else None


def _decimals(group: Dataset, keyword: str, count: int) -> Decimals | None:
    """Return the value as `count` decimal strings, or None if it is not `count` finite numbers."""
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
    """Return the value of a tag, or None if it is absent, empty or unreadable."""
    try:
        value = header.get(keyword)
    except _UNREADABLE:
        return None
    return None if value in ("", []) else value


def copy_value(header: Dataset, source: Dataset, keyword: str) -> bool:
    """Copy a value of the source to `header` if it can be read and written. Return whether it was copied."""
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
    """Return the UID in a tag, or None if it is absent or invalid."""
    value = value_of(header, keyword)
    return str(value) if isinstance(value, str) and _UID.fullmatch(value) else None


def _needed_uid(header: Dataset, keyword: str) -> str:
    uid = uid_of(header, keyword)
    if uid is None:
        raise ArtifactUnsupported(f"The {keyword} of the source is missing or unreadable.")
    return uid


def _number(header: Dataset, keyword: str) -> int:
    value = value_of(header, keyword)
    if not isinstance(value, int):
        raise ArtifactUnsupported(f"The {keyword} of the source is missing or unreadable.")
    return int(value)
