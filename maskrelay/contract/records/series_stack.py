"""A stack: frames of one DICOM series that belong together, ordered along their normal. Each stack becomes one item."""

from typing import Literal

from maskrelay.contract.record import Record
from maskrelay.contract.records.dicom_facts import Mark, Orientation

#: The codes of irregularities of a series. Each irregularity is recorded with numbers that quantify it:
#:
#: - `ambiguous_positions`: the number of positions with several slices that nothing distinguishes.
#: - `duplicates`: the number of objects that were dropped, because the same object, or an equal image at the same
#:   position, was kept.
#: - `fewer_than_acquired`: the number of received frames, and the number of frames in the acquisition. Possibly nothing
#:   is missing, because a reformatted series has a different number of frames.
#: - `gaps`: the number of missing slices in each gap, in order.
#: - `missing_slices`: the number of received frames, and the number of frames that the header states.
#: - `mixed_patients`, `mixed_studies`, `mixed_series` (different series numbers or modalities),
#:   `mixed_frames_of_reference`, `mixed_orientations` and `mixed_sizes`: the number of groups into which the objects
#:   with the same series UID were divided.
#: - `tilted`: the greatest distance, in millimetres, of a slice from the normal through the first slice.
#: - `uneven_steps`: the number of slices that are not on the even grid.
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
    """The frames of a stack in order.

    If the frames have no positions, they are all from one object, in its order, and the stack has no orientation.
    """

    #: For each frame, the number of its object, and the number of the frame within that object, counted from 0.
    members: tuple[tuple[int, int], ...]
    #: For each frame, its slice number along the normal, counted from 0. If slices are missing, their numbers are
    #: skipped.
    places: tuple[int, ...]
    findings: dict[Finding, tuple[float, ...]] = {}
    #: The direction cosines, LPS+.
    orientation: Orientation | None = None
    #: The distances between rows and between columns, in millimetres.
    spacing: tuple[float, float] | None = None
    #: The distance from slice to slice in millimetres. If there is only one slice, its thickness.
    step: float | None = None
    #: Whether the frames form one even grid, which a NIfTI file can describe.
    is_volume: bool = False
    #: The marks that distinguish this stack from other stacks at the same positions, by the names in `MARKS`. If stacks
    #: differ only in their times, `order` numbers them.
    told_apart_by: dict[str, Mark] = {}
