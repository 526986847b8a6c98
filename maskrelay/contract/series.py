"""A stack: frames of one series that belong together, in their order along the normal. What becomes one item."""

from typing import Literal

from maskrelay.contract.dicom import Orientation
from maskrelay.contract.outcomes import Record

#: What was found out of order, each with numbers that say how much.
#: ambiguous_positions: places that hold several slices which nothing tells apart.
#: duplicates: objects that were dropped, since the same object is there already.
#: gaps: for each gap, in their order, how many slices it lacks.
#: missing_slices: how many frames came, how many the series says to have.
#: mixed_orientations, mixed_sizes: into how many kinds the series was split.
#: tilted: how far the worst slice lies aside of the normal through the first one, in millimetres.
#: uneven_steps: slices that lie off the even grid.
Finding = Literal[
    "ambiguous_positions",
    "duplicates",
    "gaps",
    "missing_slices",
    "mixed_orientations",
    "mixed_sizes",
    "tilted",
    "uneven_steps",
]


class Stack(Record):
    """Frames in order; without positions there is no orientation, and the order is that of one object's frames.

    members: (source, frame): the number of the object, as it was given, and the frame in it, from 0. places: for each
    member its whole slice number, from 0 along the normal; missing slices leave numbers out. orientation: cosines,
    LPS+. spacing: millimetres between rows, between columns. step: millimetres from place to place, for a slice
    that is alone its thickness. is_volume: all of it is one even grid, which a NIfTI can describe.
    """

    members: tuple[tuple[int, int], ...]
    places: tuple[int, ...]
    findings: dict[Finding, tuple[float, ...]] = {}
    orientation: Orientation | None = None
    spacing: tuple[float, float] | None = None
    step: float | None = None
    is_volume: bool = False
