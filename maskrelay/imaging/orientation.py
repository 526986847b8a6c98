"""The orientation of a slice of a volume for display, as radiologists expect it, and the reverse transform.

Patient axes are those of NIfTI: x points to the right, y to the front and z to the head. They are numbered from 0. From
top to bottom, an axial image goes from the front to the back of the patient, and sagittal and coronal images go from
the head to the feet. From left to right, a sagittal image goes from the front to the back, and axial and coronal images
go from the patient's right to the left. These directions are all opposite to the patient axes. Source: DICOM PS3.17 and
the display of every common workstation.
"""

import itertools
import math
from typing import Any, Literal

import numpy.typing as npt

from maskrelay.contract.records.source_frames import Affine, Orientation

SliceAxis = Literal["axial", "sagittal", "coronal"] | int | None

_ACROSS = {"sagittal": 0, "coronal": 1, "axial": 2}
#: The patient axis that is vertical in the image, by the patient axis along which the volume is cut into slices.
_DOWN = (2, 2, 1)


def slice_axis(affine: Affine, shape: tuple[int, int, int], asked: SliceAxis) -> int:
    """Return the voxel axis along which the volume is cut into slices.

    For a direction such as `axial`, the result is the voxel axis that is nearest to the patient axis perpendicular to
    the slices. A number is the voxel axis itself. If nothing is requested, the slices are axial, unless the volume
    consists of a single slice. Then this slice is used, whatever its orientation.
    """
    if isinstance(asked, int):
        return asked
    if asked is None and shape.count(1) == 1:
        return shape.index(1)
    across = _ACROSS[asked or "axial"]
    return next(axis for axis, (patient, _) in enumerate(_directions(affine)) if patient == across)


def turn_of(affine: Affine, axis: int) -> Orientation:
    """Return the transform from a stored slice to its image.

    The axes of the stored slice are the two voxel axes other than `axis`, in order.
    """
    directions = _directions(affine)
    down = _DOWN[directions[axis][0]]
    first, second = (direction for other, direction in enumerate(directions) if other != axis)
    rows, columns = (first, second) if first[0] == down else (second, first)
    return Orientation(transpose=rows is second, flip_rows=rows[1], flip_columns=columns[1])


def _directions(affine: Affine) -> list[tuple[int, bool]]:
    """Return for each voxel axis the nearest patient axis, and whether the two have the same direction.

    Each patient axis is assigned to one voxel axis. In an oblique volume, the assignment with the largest sum of
    cosines is chosen.
    """
    columns = [[row[axis] for row in affine] for axis in range(3)]
    cosines = [[part / math.hypot(*column) for part in column] for column in columns]
    nearest = max(
        itertools.permutations(range(3)),
        key=lambda patient: sum(abs(cosines[axis][patient[axis]]) for axis in range(3)),
    )
    return [(patient, cosines[axis][patient] > 0) for axis, patient in enumerate(nearest)]


def turned(stored: npt.NDArray[Any], turn: Orientation) -> npt.NDArray[Any]:
    """Return a view of a stored slice as it is displayed: the axes (a, b, …) become the axes (row, column, …)."""
    return _flipped(stored.swapaxes(0, 1) if turn.transpose else stored, turn)


def unturned(picture: npt.NDArray[Any], turn: Orientation) -> npt.NDArray[Any]:
    """Return a view of a displayed image as it is stored: the axes (row, column, …) become the axes (a, b, …)."""
    flipped = _flipped(picture, turn)
    return flipped.swapaxes(0, 1) if turn.transpose else flipped


def _flipped(pixels: npt.NDArray[Any], turn: Orientation) -> npt.NDArray[Any]:
    rows, columns = (slice(None, None, -1 if flip else 1) for flip in (turn.flip_rows, turn.flip_columns))
    return pixels[rows, columns]
