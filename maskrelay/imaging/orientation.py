"""Orient a slice of a volume as radiologists expect to see it, and reverse the orientation.

Patient axes are those of NIfTI: x to the right, y to the front, z to the head, numbered from 0. The rows of an image
run to the back (axial) or to the feet; its columns run to the patient's left or, in a sagittal image, to the back:
always against the patient axis. Source: DICOM PS3.17 and the display of every common workstation.
"""

import itertools
import math
from typing import Any, Literal

import numpy.typing as npt

from maskrelay.contract.records.source_frames import Affine, Orientation

SliceAxis = Literal["axial", "sagittal", "coronal"] | int | None

_ACROSS = {"sagittal": 0, "coronal": 1, "axial": 2}
#: The patient axis that runs down the image, by the patient axis that the slices are cut along.
_DOWN = (2, 2, 1)


def slice_axis(affine: Affine, shape: tuple[int, int, int], asked: SliceAxis) -> int:
    """Return the voxel axis to cut along: the one nearest to the requested patient axis; a number is used as it is.

    With None: axial, except that a volume of one slice is that slice, whatever its orientation.
    """
    if isinstance(asked, int):
        return asked
    if asked is None and shape.count(1) == 1:
        return shape.index(1)
    across = _ACROSS[asked or "axial"]
    return next(axis for axis, (patient, _) in enumerate(_directions(affine)) if patient == across)


def turn_of(affine: Affine, axis: int) -> Orientation:
    """Return the transform from a stored slice, [a, b] of the two voxel axes other than `axis`, to its image."""
    directions = _directions(affine)
    down = _DOWN[directions[axis][0]]
    first, second = (direction for other, direction in enumerate(directions) if other != axis)
    rows, columns = (first, second) if first[0] == down else (second, first)
    return Orientation(transpose=rows is second, flip_rows=rows[1], flip_columns=columns[1])


def _directions(affine: Affine) -> list[tuple[int, bool]]:
    """For each voxel axis, the patient axis that it follows, and whether in the same direction.

    An oblique volume gets the one-to-one assignment of axes with the largest sum of cosines.
    """
    columns = [[row[axis] for row in affine] for axis in range(3)]
    cosines = [[part / math.hypot(*column) for part in column] for column in columns]
    nearest = max(
        itertools.permutations(range(3)),
        key=lambda patient: sum(abs(cosines[axis][patient[axis]]) for axis in range(3)),
    )
    return [(patient, cosines[axis][patient] > 0) for axis, patient in enumerate(nearest)]


def turned(stored: npt.NDArray[Any], turn: Orientation) -> npt.NDArray[Any]:
    """Return a view: (a, b, …) as stored → (row, column, …) as shown."""
    return _flipped(stored.swapaxes(0, 1) if turn.transpose else stored, turn)


def unturned(picture: npt.NDArray[Any], turn: Orientation) -> npt.NDArray[Any]:
    """Return a view: (row, column, …) as shown → (a, b, …) as stored."""
    flipped = _flipped(picture, turn)
    return flipped.swapaxes(0, 1) if turn.transpose else flipped


def _flipped(pixels: npt.NDArray[Any], turn: Orientation) -> npt.NDArray[Any]:
    rows, columns = (slice(None, None, -1 if flip else 1) for flip in (turn.flip_rows, turn.flip_columns))
    return pixels[rows, columns]
