"""Comparison of DICOM headers, to find duplicate objects and the slices that can form one stack."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from maskrelay.contract.records.dicom_facts import DicomFacts, Orientation
from maskrelay.rules.series.mosaic import shows_mosaic
from maskrelay.rules.series.slices import Slice, normal_of

Numbered = tuple[int, DicomFacts]

#: The largest difference between the geometries of slices of one stack. It is absolute for direction cosines, and
#: relative for spacings.
_ALIKE = 1e-3
#: The side of a cell in `_Nearby`. It is slightly larger than _ALIKE, because of rounding errors.
_CELL = 1.001e-3
#: The tolerance for the length of the normal, which is 1 if the directions are perpendicular unit vectors.
_RIGHT_ANGLE = 1e-2
#: The largest coordinate of a valid position, in millimetres.
_FARTHEST = 1e6


def without_duplicates(objects: Iterable[Numbered]) -> tuple[list[Numbered], Counter[int]]:
    """Return the objects without their duplicates, and for each kept object the number of its duplicates.

    The first of several duplicates is kept. Duplicates have the same size, frame of reference, positions, orientations
    and marks. If the objects have positions and their pixels were hashed, duplicates must have equal pixels, and the
    UIDs do not matter, because an anonymiser may have given a new UID to a copy, or the same UID to different objects.
    Otherwise, duplicates must have the same SOP instance UID.
    """
    first: dict[tuple[object, ...], int] = {}
    kept, again = [], Counter[int]()
    for number, facts in objects:
        content = facts.pixels if facts.pixels and facts.positions else (facts.sop_instance or number, facts.pixels)
        place = facts.positions, facts.orientations, facts.rows, facts.columns, facts.frame_of_reference
        key = (content, facts.ordinal, facts.frame_ordinals, *place)
        if key in first:
            again[first[key]] += 1
        else:
            first[key] = number
            kept.append((number, facts))
    return kept, again


def slices_of(number: int, facts: DicomFacts) -> list[Slice]:
    """Return the frames of an object as slices.

    Return an empty list if the positions are unknown or invalid, if the object is a mosaic, or if it has several frames
    that all have the same position and orientation. Such an object is a cine clip: its frames follow each other in
    time.
    """
    if len(facts.positions) != facts.frames or len(facts.orientations) != facts.frames or shows_mosaic(facts):
        return []
    if facts.frames > 1 and len(set(facts.positions)) == 1 and len(set(facts.orientations)) == 1:
        return []
    places = list(zip(facts.positions, facts.orientations, strict=True))
    if not all(_is_placed(position, orientation) for position, orientation in places):
        return []
    return [Slice(number, frame, facts, *place) for frame, place in enumerate(places)]


def _is_placed(position: Sequence[float], orientation: Orientation) -> bool:
    within = all(abs(value) <= _FARTHEST for value in (*position, *orientation))
    return within and abs(math.hypot(*normal_of(orientation)) - 1) <= _RIGHT_ANGLE


def split_alike(slices: Iterable[Slice]) -> list[list[Slice]]:
    """Group slices by size, frame of reference, spacing and orientation. The order of `slices` makes no difference."""
    clusters: list[list[Slice]] = []
    nearby = _Nearby()
    for candidate in sorted(slices, key=_sorting):
        if clusters and _fits(candidate, clusters[-1][0]):  # the usual case, as the slices are sorted
            clusters[-1].append(candidate)
            continue
        near = nearby.to(candidate.orientation)
        fitting = max((number for number in near if _fits(candidate, clusters[number][0])), default=None)
        if fitting is None:
            nearby.add(candidate.orientation, len(clusters))
            clusters.append([candidate])
        else:
            clusters[fitting].append(candidate)
    return clusters


class _Nearby:
    """Numbered orientations by cells of space, so that an orientation is compared only with those in cells around it.

    Otherwise, the time would grow with the square of the number of orientations, of which a header may contain many.
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[int, ...], list[int]] = defaultdict(list)

    def add(self, orientation: Orientation, number: int) -> None:
        self._cells[self._cell(orientation)].append(number)

    def to(self, orientation: Orientation) -> Iterator[int]:
        """Yield the numbers of all orientations that may be alike, and of a few others."""
        cell = self._cell(orientation)
        for around in product(*((place - 1, place, place + 1) for place in cell)):
            yield from self._cells.get(around, ())

    @staticmethod
    def _cell(orientation: Orientation) -> tuple[int, ...]:
        return tuple(math.floor(cosine / _CELL) for cosine in orientation)


def count_orientations(clusters: Sequence[Sequence[Slice]]) -> int:
    """Return the number of different orientations among the clusters."""
    found: list[Orientation] = []
    nearby = _Nearby()
    for orientation in (cluster[0].orientation for cluster in clusters):
        if not any(_same_direction(orientation, found[number]) for number in nearby.to(orientation)):
            nearby.add(orientation, len(found))
            found.append(orientation)
    return len(found)


def count_sizes(clusters: Sequence[Sequence[Slice]]) -> int:
    """Return the number of different frame sizes and spacings among the clusters."""
    found: list[Slice] = []
    for first in (cluster[0] for cluster in clusters):
        if not any(_size(first)[:3] == _size(other)[:3] and _same_spacing(first, other) for other in found):
            found.append(first)
    return len(found)


def _size(slice_: Slice) -> tuple[int, int, int, str]:
    facts = slice_.facts
    return facts.rows, facts.columns, facts.samples, facts.frame_of_reference or ""


def _sorting(slice_: Slice) -> tuple[object, ...]:
    facts = slice_.facts
    return _size(slice_), slice_.orientation, facts.spacing or (), slice_.position, facts.sop_instance


def _fits(one: Slice, other: Slice) -> bool:
    alike = _size(one) == _size(other) and _same_direction(one.orientation, other.orientation)
    return alike and _same_spacing(one, other)


def _same_direction(one: Orientation, other: Orientation) -> bool:
    return all(abs(a - b) <= _ALIKE for a, b in zip(one, other, strict=True))


def _same_spacing(one: Slice, other: Slice) -> bool:
    a, b = one.facts.spacing, other.facts.spacing
    if a is None or b is None:
        return a is b
    return all(math.isclose(x, y, rel_tol=_ALIKE) for x, y in zip(a, b, strict=True))
