"""A stack: frames of one series that belong together, ordered along the normal. Each stack becomes one item."""

from typing import Literal

from maskrelay.contract.dicom import Mark, Orientation
from maskrelay.contract.outcomes import Record

#: What was found out of order, each with numbers that say how much.
#: ambiguous_positions: places that hold several slices which nothing tells apart.
#: duplicates: objects that were dropped, since the same object, or an equal picture at its place, is there already.
#: fewer_than_acquired: how many frames came, how many the acquisition had. A reformatted series has another number, so
#: that nothing need be missing.
#: gaps: for each gap, in their order, how many slices it lacks.
#: missing_slices: how many frames came, how many the series says to have.
#: mixed_patients, mixed_studies, mixed_series (by number or modality), mixed_frames_of_reference, mixed_orientations,
#: mixed_sizes: into how many of these the objects of one series UID were split.
#: tilted: how far the worst slice lies aside of the normal through the first one, in millimetres.
#: uneven_steps: slices that lie off the even grid.
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


class Stack(Record):
    """Frames in order; without positions there is no orientation, and the order is that of one object's frames.

    members: (source, frame): the number of the object, as it was given, and the frame in it, from 0. places: for each
    member its whole slice number, from 0 along the normal; missing slices leave numbers out. orientation: cosines,
    LPS+. spacing: millimetres between rows, between columns. step: millimetres from place to place, for a slice
    that is alone its thickness. is_volume: all of it is one even grid, which a NIfTI can describe. told_apart_by: what
    distinguishes it from the other stacks at the same places, by the names of `MARKS`; `order` counts those that differ
    in nothing but their times.
    """

    members: tuple[tuple[int, int], ...]
    places: tuple[int, ...]
    findings: dict[Finding, tuple[float, ...]] = {}
    orientation: Orientation | None = None
    spacing: tuple[float, float] | None = None
    step: float | None = None
    is_volume: bool = False
    told_apart_by: dict[str, Mark] = {}
