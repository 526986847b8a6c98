"""The functional groups and dimensions of a segmentation.

The functional groups of a frame contain its position and a reference to its source frame. The dimensions say by which
attributes the frames are indexed. Source: DICOM PS3.3, C.7.6.16.2 (functional group macros), C.7.6.17 (dimensions) and
C.8.20.3 (the macros of segmentations).
"""

from collections.abc import Sequence
from typing import Any

from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.tag import Tag

from maskrelay.imaging.item_files.seg_header import reference
from maskrelay.imaging.item_files.seg_sources import Decimals, SourceFrame

_DERIVATION = CodedConcept.from_code(codes.DCM.Segmentation)
_PURPOSE = CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)
#: The dimensions, each with its label, the attribute that is its index, and the functional group of that attribute.
_SEGMENT = ("Segment Number", "ReferencedSegmentNumber", "SegmentIdentificationSequence")
_PLACE = ("Image Position (Patient)", "ImagePositionPatient", "PlanePositionSequence")
_TIME = ("Temporal Position Index", "TemporalPositionIndex", "FrameContentSequence")


class SegmentFrameGroups:
    """The functional groups of the frames of an item."""

    def __init__(self, frames: Sequence[SourceFrame], frame_of_reference: bool) -> None:
        self._frames = frames
        self._placed = frame_of_reference and all(frame.position for frame in frames)
        self._ranks = _ranks(frames) if self._placed else []
        repeated = len(set(self._ranks)) < len(frames)
        # frames without positions, or several at one position, are distinguished by their order
        self._timed = repeated and len(frames) > 1
        self._shared = {key for key in ("measures", "orientation") if len({getattr(f, key) for f in frames}) == 1}

    def dimensions(self, organization: str) -> list[Dataset]:
        """Return the dimensions: the segment, the position if it is known, and the order if positions are ambiguous."""
        pointers = [_SEGMENT, *([_PLACE] if self._placed else []), *([_TIME] if self._timed else [])]
        return [_dimension(organization, *pointer) for pointer in pointers]

    def shared(self) -> Dataset:
        """Return the functional groups that all frames share."""
        return self._geometry(self._frames[0], self._shared)

    def of_frame(self, frame: int, segment: int) -> Dataset:
        """Return the functional groups that belong to only one frame of the segmentation.

        `frame` is the number of the source frame within the item, and `segment` the number of the segment. Both are
        counted from 0.
        """
        source = self._frames[frame]
        groups = self._geometry(source, {"measures", "orientation"} - self._shared)
        if self._placed:
            groups.PlanePositionSequence = [_item(ImagePositionPatient=_numbers(source.position))]
        groups.FrameContentSequence = [self._content(frame, segment)]
        groups.SegmentIdentificationSequence = [_item(ReferencedSegmentNumber=segment + 1)]
        groups.DerivationImageSequence = [_derivation(source)]
        return groups

    def _content(self, frame: int, segment: int) -> Dataset:
        indices = [segment + 1]
        content = Dataset()
        if self._placed:
            indices.append(self._ranks[frame])
        if self._timed:
            indices.append(frame + 1)
            content.TemporalPositionIndex = frame + 1
        content.DimensionIndexValues = indices
        return content

    def _geometry(self, source: SourceFrame, wanted: set[str]) -> Dataset:
        groups = Dataset()
        if "measures" in wanted and source.measures:
            measures = {keyword: _numbers(numbers) for keyword, numbers in source.measures}
            groups.PixelMeasuresSequence = [_item(**measures)]
        if "orientation" in wanted and self._placed:
            groups.PlaneOrientationSequence = [_item(ImageOrientationPatient=_numbers(source.orientation))]
        return groups


def _ranks(frames: Sequence[SourceFrame]) -> list[int]:
    """Return the rank of each frame's position along the normal of the first frame, counted from 1.

    Equal positions have equal ranks.
    """
    orientation = _floats(frames[0].orientation)
    rows, columns = orientation[:3], orientation[3:]
    normal = [rows[(k + 1) % 3] * columns[(k + 2) % 3] - rows[(k + 2) % 3] * columns[(k + 1) % 3] for k in range(3)]
    positions = [_floats(frame.position) for frame in frames]

    def along(position: tuple[float, ...]) -> tuple[Any, ...]:
        return sum(part * factor for part, factor in zip(position, normal, strict=True)), position

    rank = {position: number for number, position in enumerate(sorted(set(positions), key=along), 1)}
    return [rank[position] for position in positions]


def _floats(numbers: Decimals | None) -> tuple[float, ...]:
    return tuple(float(number) for number in numbers or ())


def _numbers(numbers: Decimals | None) -> Any:
    values = list(numbers or ())
    return values[0] if len(values) == 1 else values


def _dimension(organization: str, label: str, counted: str, group: str) -> Dataset:
    return _item(
        DimensionOrganizationUID=organization,
        DimensionIndexPointer=Tag(counted),
        FunctionalGroupPointer=Tag(group),
        DimensionDescriptionLabel=label,
    )


def _derivation(source: SourceFrame) -> Dataset:
    origin = reference(source.sop_class, source.sop_instance)
    if source.number is not None:
        origin.ReferencedFrameNumber = source.number
    origin.SpatialLocationsPreserved = "YES"
    origin.PurposeOfReferenceCodeSequence = [_PURPOSE]
    return _item(DerivationCodeSequence=[_DERIVATION], SourceImageSequence=[origin])


def _item(**attributes: Any) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
