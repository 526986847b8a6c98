"""Slices in space: their depths along the normal, and the groups of slices at the same place."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from maskrelay.contract.records.dicom_facts import (
    DicomFacts,
    Mark,
    Orientation,
    Vector,
)

#: The largest distance along the normal between two slices at the same place, as a fraction of the pixel spacing. If
#: the spacing is unknown, it is in millimetres.
_AT_ONE_PLACE = 0.01


@dataclass(frozen=True, slots=True)
class Slice:
    """Frame `frame` of the object `source`, with its position and orientation from the header."""

    source: int
    frame: int
    facts: DicomFacts
    position: Vector
    orientation: Orientation

    @property
    def ordinal(self) -> tuple[Mark, ...]:
        """The marks that can distinguish slices at the same place.

        If the object has marks for each of its frames, these are the marks of the frame. Otherwise, they are the marks
        of the object.
        """
        of_frames = self.facts.frame_ordinals
        return of_frames[self.frame] if len(of_frames) == self.facts.frames else self.facts.ordinal


@dataclass(frozen=True, slots=True)
class Place:
    """All slices at the same depth."""

    #: The distance along the normal, in millimetres.
    depth: float
    slices: tuple[Slice, ...]


def normal_of(orientation: Orientation) -> Vector:
    """Return the cross product of the row and column directions.

    Its length is 1 if the directions are perpendicular unit vectors.
    """
    a, b, c, d, e, f = orientation
    return b * f - c * e, c * d - a * f, a * e - b * d


def depth_of(position: Vector, normal: Vector) -> float:
    """Return the position along the normal, in millimetres."""
    return sum(value * along for value, along in zip(position, normal, strict=True)) / math.hypot(*normal)


def aside(position: Vector, normal: Vector) -> Vector:
    """Return the part of a position that is perpendicular to the normal."""
    length = math.hypot(*normal)
    depth = depth_of(position, normal)
    x, y, z = (value - depth * along / length for value, along in zip(position, normal, strict=True))
    return x, y, z


def places_of(slices: Iterable[Slice], orientation: Orientation) -> list[Place]:
    """Return the places of these slices, by increasing depth along the normal.

    Within a place, slices are sorted by their marks, then by instance number and by UID. The order in which they were
    submitted makes no difference.
    """
    normal = normal_of(orientation)
    depths = ((depth_of(each.position, normal), each) for each in slices)
    runs: list[tuple[float, list[Slice]]] = []
    for depth, each in sorted(depths, key=lambda pair: pair[0]):
        if runs and depth - runs[-1][0] <= _tolerance(each.facts):
            runs[-1][1].append(each)
        else:
            runs.append((depth, [each]))
    return [Place(depth, tuple(sorted(run, key=_rank))) for depth, run in runs]


def _tolerance(facts: DicomFacts) -> float:
    return _AT_ONE_PLACE * (min(facts.spacing) if facts.spacing else 1.0)


def _rank(slice_: Slice) -> tuple[object, ...]:
    facts = slice_.facts
    return slice_.ordinal, facts.instance_number or 0, facts.sop_instance, slice_.source, slice_.frame
