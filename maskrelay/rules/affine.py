"""The affine of a DICOM series: its slices as one regular grid in RAS+ millimetres."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from maskrelay.contract.dicom import Orientation, Vector
from maskrelay.contract.sources import Affine


@dataclass(frozen=True)
class SeriesPlacement:
    """affine: (column, row, slice) → RAS+ millimetres. places: each slice's number, from 0, gaps skipped.

    off_mm: how far the worst slice's own position lies from where the affine puts it; a caller judges it.
    """

    affine: Affine
    places: tuple[int, ...]
    off_mm: float


def affine_of_series(
    orientation: Orientation,
    positions: Sequence[Vector],
    spacing: tuple[float, float],
    thickness: float | None = None,
) -> SeriesPlacement:
    """The grid of slices that are in order along their normal, in either direction.

    orientation, positions: as DICOM gives them (LPS+), one position a slice, of one orientation. spacing: millimetres
    between rows, between columns. thickness: the depth of a slice that is alone, 1 if unknown. The usual gap between
    neighbours is their median; a wider one skips places. The step keeps its own direction, so a tilted gantry gives a
    sheared grid. Raises ValueError where neighbours lie in one plane. Source: DICOM PS3.3, C.7.6.2.1.1 (equation
    C.7.6.2.1-1); RAS is LPS with x and y negated.
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
    """From a slice to the next, and how many steps each slice is from the first."""
    depths = [sum(part * along for part, along in zip(position, normal, strict=True)) for position in positions]
    gaps = [after - before for before, after in pairwise(depths)]
    if not gaps:
        return _times(normal, thickness), (0,)
    usual = median(gaps)
    if not usual:
        raise ValueError("neighbouring slices lie in one plane")
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
