"""A stack: frames of one series that belong together, ordered along the normal. Each stack becomes one item."""

from typing import Literal

from maskrelay.contract.record import Record
from maskrelay.contract.records.dicom_facts import Mark, Orientation

#: Irregularities of a series, each with numbers that quantify it.
#: ambiguous_positions: positions with several slices that nothing distinguishes.
#: duplicates: objects that were dropped because the same object, or an equal image at the same position, exists.
#: fewer_than_acquired: received frames, frames of the acquisition. A reformatted series has another number, so
#: that possibly nothing is missing.
#: gaps: for each gap, in order, the number of missing slices.
#: missing_slices: received frames, frames that the series declares.
#: mixed_patients, mixed_studies, mixed_series (by number or modality), mixed_frames_of_reference, mixed_orientations,
#: mixed_sizes: the number of groups into which the objects of one series UID were split.
#: tilted: the greatest distance of a slice from the normal through the first one, in millimetres.
#: uneven_steps: slices off the even grid.
Finding = Literal[
    "ambiguous_positions",
    "duplicates",
    "fewer_than_acquired",
    "gaps",
    "missing_slices",
    "mixed_frames_of_reference",
    "mixed_orientations",
    "mixed_patients",
    "mixed_series",
    "mixed_sizes",
    "mixed_studies",
    "tilted",
    "uneven_steps",
]


class SeriesStack(Record):
    """Frames in order. Without positions there is no orientation, and the order is that of one object's frames."""

    #: (source, frame): the number of the object, as given, and the frame in it, from 0.
    members: tuple[tuple[int, int], ...]
    #: For each member its slice number, from 0 along the normal; missing slices leave numbers out.
    places: tuple[int, ...]
    findings: dict[Finding, tuple[float, ...]] = {}
    #: Direction cosines, LPS+.
    orientation: Orientation | None = None
    #: (row, column) spacing in millimetres.
    spacing: tuple[float, float] | None = None
    #: Millimetres from slice to slice; for a single slice, its thickness.
    step: float | None = None
    #: Whether all of it is one even grid, which a NIfTI can describe.
    is_volume: bool = False
    #: What distinguishes it from other stacks at the same positions, by the names of `MARKS`; `order`
    #: numbers the stacks that differ only in their times.
    told_apart_by: dict[str, Mark] = {}
