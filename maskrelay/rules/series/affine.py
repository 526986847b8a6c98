"""The affine matrix of a DICOM series, which places its slices on one regular grid in RAS+ millimetres."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from maskrelay.contract.records.dicom_facts import Orientation, Vector
from maskrelay.contract.records.source_frames import Affine


@dataclass(frozen=True)
class SeriesPlacement:
    """The grid of a series."""

    #: The map from (column, row, slice) to RAS+ millimetres.
    affine: Affine
    #: The number of each slice on the grid, counted from 0. If slices are missing, their numbers are skipped.
    places: tuple[int, ...]
    #: The largest distance, in millimetres, between the position of a slice in its header and its position on the grid.
    #: The caller decides whether it is too large.
    off_mm: float


def affine_of_series(
    orientation: Orientation,
    positions: Sequence[Vector],
    spacing: tuple[float, float],
    thickness: float | None = None,
) -> SeriesPlacement:
    """Return the grid of slices that are sorted along their normal, in either direction.

    All slices have the same `orientation`. `positions` contains the position of each slice. Both are in the coordinates
    of DICOM (LPS+). `spacing` contains the distances between rows and between columns in millimetres. `thickness`, in
    millimetres, is used only if there is a single slice. If the thickness is unknown, 1 is used.

    One step of the grid is the median distance between neighbours. If a distance is larger, slice numbers are skipped.
    The step has the direction from the first slice to the last, so the grid is sheared if the gantry was tilted. Raises
    ValueError if the median distance is 0. Source: DICOM PS3.3, C.7.6.2.1.1 (equation C.7.6.2.1-1). RAS is LPS with x
    and y negated.
    """
    rows, columns = orientation[:3], orientation[3:]
    step, places = _step(_cross(rows, columns), positions, thickness or 1.0)
    between_rows, between_columns = spacing
    axes = (_times(rows, between_columns), _times(columns, between_rows), step, positions[0])
    affine = tuple(
        (sign * axes[0][row], sign * axes[1][row], sign * axes[2][row], sign * axes[3][row])
        for row, sign in enumerate((-1.0, -1.0, 1.0))
    )
    off = max(
        math.dist(position, _plus(positions[0], _times(step, place)))
        for position, place in zip(positions, places, strict=True)
    )
    return SeriesPlacement(affine, places, off)


def _step(normal: Vector, positions: Sequence[Vector], thickness: float) -> tuple[Vector, tuple[int, ...]]:
    """Return the vector from one slice to the next, and the number of steps from the first slice to each."""
    depths = [sum(part * along for part, along in zip(position, normal, strict=True)) for position in positions]
    gaps = [after - before for before, after in pairwise(depths)]
    if not gaps:
        return _times(normal, thickness), (0,)
    usual = median(gaps)
    if not usual:
        raise ValueError("neighbouring slices are in the same plane")
    places = [0]
    for gap in gaps:
        places.append(places[-1] + max(1, round(gap / usual)))
    across = [last - first for first, last in zip(positions[0], positions[-1], strict=True)]
    return _times((across[0], across[1], across[2]), 1 / places[-1]), tuple(places)


def _cross(one: Vector, other: Vector) -> Vector:
    return (
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    )


def _plus(one: Vector, other: Vector) -> Vector:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _times(vector: Vector, factor: float) -> Vector:
    return vector[0] * factor, vector[1] * factor, vector[2] * factor
