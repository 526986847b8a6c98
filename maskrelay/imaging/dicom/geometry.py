"""The positions and orientations of frames in the patient, and the pixel spacing.

Sources: PS3.3 C.7.6.2 (Image Plane), C.7.6.16.2 (functional groups), C.8.5.5 (US Region Calibration) and 10.7.1.3 (the
meaning of PixelSpacing in projection radiography).
"""

from collections.abc import Callable
from typing import TypeVar, cast

from pydicom import Dataset

from maskrelay.contract.records.dicom_facts import Orientation, Vector
from maskrelay.errors import TagInvalid
from maskrelay.imaging.dicom.functional_groups import FunctionalGroups
from maskrelay.imaging.dicom.tags import items, named, number, numbers
from maskrelay.imaging.spacing import is_length, measurable

_Value = TypeVar("_Value")

_CENTIMETRES = 3  # the code of this unit in PhysicalUnitsXDirection
_UNIT = 0.01  # the tolerance for the length of a direction, and for the right angle between two directions


def positions(dataset: Dataset, groups: FunctionalGroups, frames: int) -> tuple[Vector, ...]:
    """Return the position of each frame, or an empty result if any frame has no position. Raises TagInvalid."""

    def read(place: Dataset) -> Vector | None:
        found = numbers(place, "ImagePositionPatient", 3)
        return cast("Vector", found) if found else None

    return _of_frames(dataset, groups, frames, "PlanePositionSequence", read)


def orientations(dataset: Dataset, groups: FunctionalGroups, frames: int) -> tuple[Orientation, ...]:
    """Return the orientation of each frame, or an empty result if any frame has no orientation.

    Raises TagInvalid if a value cannot be read, or if directions are not perpendicular unit vectors.
    """
    return _of_frames(dataset, groups, frames, "PlaneOrientationSequence", _directions)


def spacing(dataset: Dataset, groups: FunctionalGroups, frames: int) -> tuple[float, float] | None:
    """Return the distances between rows and between columns, in millimetres.

    In an enhanced object, they are first looked up in the functional groups, where they must be the same in all frames.
    Otherwise, they are read from the object's own tags, or from its ultrasound regions. Return None if they are
    unknown. For a radiograph, they may be the distances on the detector (ImagerPixelSpacing), which are larger than
    those in the patient. Raises TagInvalid.
    """
    if groups:
        found = _measures(groups, frames, lambda measures: _pair(measures, "PixelSpacing"))
        if found is not None:
            return found
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if pair := _pair(dataset, keyword):
            return pair
    return _ultrasound_spacing(dataset)


def aspect(dataset: Dataset) -> tuple[float, float] | None:
    """Return PixelAspectRatio: the height and the width of a pixel in a unit that is not known.

    Objects without a pixel spacing declare it if their pixels are not square.
    """
    try:
        return _pair(dataset, "PixelAspectRatio")
    except TagInvalid:
        return None


def thickness(dataset: Dataset, groups: FunctionalGroups, frames: int) -> float | None:
    return _along(dataset, groups, frames, "SliceThickness")


def slice_distance(dataset: Dataset, groups: FunctionalGroups, frames: int) -> float | None:
    return _along(dataset, groups, frames, "SpacingBetweenSlices")


def _of_frames(
    dataset: Dataset, groups: FunctionalGroups, frames: int, macro: str, read: Callable[[Dataset], _Value | None]
) -> tuple[_Value, ...]:
    if not groups:
        found = [read(dataset)] if frames == 1 else []
    else:
        places = (groups.macro(macro, index) for index in range(frames))
        found = [None if place is None else read(place) for place in places]
    complete = tuple(value for value in found if value is not None)
    return complete if len(complete) == frames else ()


def _directions(place: Dataset) -> Orientation | None:
    found = numbers(place, "ImageOrientationPatient", 6)
    if not any(found):
        return None
    row, column = found[:3], found[3:]
    lengths = [sum(part * part for part in direction) ** 0.5 for direction in (row, column)]
    askew = abs(sum(a * b for a, b in zip(row, column, strict=True)))
    if max(*(abs(length - 1) for length in lengths), askew) > _UNIT:
        raise TagInvalid(f"{named('ImageOrientationPatient')} does not contain two perpendicular unit vectors.")
    return cast("Orientation", found)


def _pair(place: Dataset, keyword: str) -> tuple[float, float] | None:
    """Return two plausible lengths, or None. Many secondary captures contain zeros for an unknown spacing."""
    found = numbers(place, keyword, 2)
    return measurable((found[0], found[1])) if found else None


def _measures(groups: FunctionalGroups, frames: int, read: Callable[[Dataset], _Value | None]) -> _Value | None:
    """Return the value if it is the same in all frames, otherwise None."""
    macros = [groups.macro("PixelMeasuresSequence", index) for index in range(frames if groups.each else 1)]
    found = {None if macro is None else read(macro) for macro in macros}
    return found.pop() if len(found) == 1 else None


def _along(dataset: Dataset, groups: FunctionalGroups, frames: int, keyword: str) -> float | None:
    found = number(dataset, keyword)
    if groups and found is None:
        found = _measures(groups, frames, lambda measures: number(measures, keyword))
    return found if found is not None and is_length(found) else None


def _ultrasound_spacing(dataset: Dataset) -> tuple[float, float] | None:
    """Return the spacing of all regions whose unit is the centimetre, or None if there are none or they differ."""
    found = set()
    for region in items(dataset, "SequenceOfUltrasoundRegions"):
        units = {number(region, f"PhysicalUnits{axis}Direction") for axis in "XY"}
        deltas = [number(region, f"PhysicalDelta{axis}") for axis in "YX"]
        if units == {_CENTIMETRES} and all(deltas):
            found.add((abs(deltas[0] or 0) * 10, abs(deltas[1] or 0) * 10))
    return found.pop() if len(found) == 1 else None
