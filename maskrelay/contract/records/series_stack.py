"""A stack of frames of one DICOM series, ordered along the normal of their planes. Each stack becomes one item."""

from typing import Literal

from maskrelay.contract.record import Record
from maskrelay.contract.records.dicom_facts import Mark, Orientation

#: The codes of irregularities of a series. With each code, the following numbers are recorded:
#:
#: - `ambiguous_positions`: the number of positions at which several slices cannot be distinguished.
#: - `duplicates`: the number of objects that were dropped because they are copies of another object, or show the same
#:   image at the same position.
#: - `fewer_than_acquired`: the number of received frames, and the number of frames in the acquisition. It is possible
#:   that no frame is missing, because a reformatted series can have a different number of frames.
#: - `gaps`: the number of missing slices in each gap, in order.
#: - `missing_slices`: the number of received frames, and the number of frames that the header states.
#: - `mixed_patients`, `mixed_studies`, `mixed_series` (different series numbers or modalities),
#:   `mixed_frames_of_reference`, `mixed_orientations` and `mixed_sizes`: the number of groups into which the objects
#:   with the same series UID were divided.
#: - `tilted`: the greatest distance, in millimetres, of a slice from the normal through the first slice.
#: - `uneven_steps`: the number of slices that are not on an evenly spaced grid.
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
    """A stack: its frames in order, and their geometry.

    If the frames have no positions, all frames of the stack are from one object and in the order of that object. Such a
    stack has no orientation.
    """

    #: For each frame, the number of its object, and the number of the frame within that object, counted from 0.
    members: tuple[tuple[int, int], ...]
    #: The slice number of each frame along the normal, counted from 0. The numbers of missing slices are skipped.
    places: tuple[int, ...]
    findings: dict[Finding, tuple[float, ...]] = {}
    #: The direction cosines of the rows and columns (LPS+). None if the frames have no positions.
    orientation: Orientation | None = None
    #: The distances between rows and between columns, in millimetres.
    spacing: tuple[float, float] | None = None
    #: The distance between neighbouring slices, or the thickness of the only slice, in millimetres.
    step: float | None = None
    #: Whether the slices are evenly spaced and parallel, so that a NIfTI file can describe the stack.
    is_volume: bool = False
    #: The marks that distinguish this stack from other stacks at the same positions. The keys are names in `MARKS`.
    #: Stacks that these marks do not distinguish also have the key `order`, whose value numbers them from 1.
    told_apart_by: dict[str, Mark] = {}
