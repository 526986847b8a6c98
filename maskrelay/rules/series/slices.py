"""Slices in space: their depth along the slice normal, and which of them share a position."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from maskrelay.contract.records.dicom_facts import (
    DicomFacts,
    Mark,
    Orientation,
    Vector,
)

#: Two slices share a place if they are closer than this fraction of the pixel spacing; without a spacing, in
#: millimetres.
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
        """The marks that tell slices at one place apart: those of the frame, or else those of the object."""
        of_frames = self.facts.frame_ordinals
        return of_frames[self.frame] if len(of_frames) == self.facts.frames else self.facts.ordinal


@dataclass(frozen=True, slots=True)
class Place:
    """All slices at one depth, in millimetres along the normal."""

    depth: float
    slices: tuple[Slice, ...]


def normal_of(orientation: Orientation) -> Vector:
    """Return the cross product of the row and column directions.

    It is of unit length only if they are perpendicular unit vectors.
    """
    a, b, c, d, e, f = orientation
    return b * f - c * e, c * d - a * f, a * e - b * d


def depth_of(position: Vector, normal: Vector) -> float:
    """Return the position along the normal, in millimetres."""
    return sum(value * along for value, along in zip(position, normal, strict=True)) / math.hypot(*normal)


def aside(position: Vector, normal: Vector) -> Vector:
    """Return the component of a position that is perpendicular to the normal."""
    length = math.hypot(*normal)
    depth = depth_of(position, normal)
    x, y, z = (value - depth * along / length for value, along in zip(position, normal, strict=True))
    return x, y, z


def places_of(slices: Iterable[Slice], orientation: Orientation) -> list[Place]:
    """Return the slices grouped by depth, increasing along the normal, and sorted within a place.

    Within a place they are sorted by ordinal, then instance number, then UID, never by the order of arrival.
    """
    normal = normal_of(orientation)
    runs: list[tuple[float, list[Slice]]] = []
    for depth, one in sorted(((depth_of(one.position, normal), one) for one in slices), key=lambda pair: pair[0]):
        if runs and depth - runs[-1][0] <= _tolerance(one.facts):
            runs[-1][1].append(one)
        else:
            runs.append((depth, [one]))
    return [Place(depth, tuple(sorted(run, key=_rank))) for depth, run in runs]


def _tolerance(facts: DicomFacts) -> float:
    return _AT_ONE_PLACE * (min(facts.spacing) if facts.spacing else 1.0)


def _rank(one: Slice) -> tuple[object, ...]:
    return one.ordinal, one.facts.instance_number or 0, one.facts.sop_instance, one.source, one.frame
