"""The separation of volumes whose slices are interleaved, for example because two series have the same series UID."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations, pairwise
from statistics import median

from maskrelay.contract.records.dicom_facts import MARKS
from maskrelay.rules.series.slices import Place, Slice

#: The marks that have one value within a volume.
_KINDS = ("image_type", "echo_time", "b_value", "gradient_direction", "inversion_time")
#: The smallest number of slices that can form a separate volume.
_LEAST = 3
#: The largest deviation of a step within any of the volumes from the median step of the first volume, as a fraction of
#: this median step.
_EVEN = 0.1
#: Two volumes are interleaved if their extents overlap by at least this fraction of the shorter extent.
_SHARED = 0.5


def interleaved(places: Sequence[Place]) -> list[tuple[Slice, ...]] | None:
    """Return the interleaved volumes to which the slices belong, or None if no such volumes are found.

    None are found if a place has several slices, or if there are too few places for two volumes.

    Two criteria can separate volumes: one of their marks, or instance numbers that are repeated in every volume. In
    both cases, the resulting volumes must be evenly spaced and interleaved.
    """
    if len(places) < 2 * _LEAST or any(len(place.slices) != 1 for place in places):
        return None
    slices = [(place.depth, place.slices[0]) for place in places]
    columns = [column for column in map(MARKS.index, _KINDS) if all(column < len(each.ordinal) for _, each in slices)]
    keys: list[list[Hashable]] = [[each.ordinal[column] for _, each in slices] for column in columns]
    keys.append(_turns(each.facts.instance_number for _, each in slices))
    for key in keys:
        sets: dict[Hashable, list[tuple[float, Slice]]] = defaultdict(list)
        for value, placed in zip(key, slices, strict=True):
            sets[value].append(placed)
        if len(sets) > 1 and _lie_between([[depth for depth, _ in found] for found in sets.values()]):
            return [tuple(member for _, member in found) for found in sets.values()]
    return None


def _turns(numbers: Iterable[int | None]) -> list[Hashable]:
    """Return for each instance number how often the same number occurred before it.

    If an instance number is missing, or if all are equal, return zeros.
    """
    found, before = list(numbers), defaultdict[int | None, int](int)
    if None in found or len(set(found)) == 1:
        return [0] * len(found)
    turns: list[Hashable] = []
    for number in found:
        turns.append(before[number])
        before[number] += 1
    return turns


def _lie_between(sets: Sequence[Sequence[float]]) -> bool:
    """Return whether these volumes, given as the depths of their slices, are evenly spaced and interleaved."""
    if any(len(depths) < _LEAST for depths in sets):
        return False
    steps = [[after - before for before, after in pairwise(depths)] for depths in sets]
    usual = median(steps[0])
    if any(abs(step - usual) > _EVEN * usual for steps_of_set in steps for step in steps_of_set):
        return False
    return all(
        min(a[-1], b[-1]) - max(a[0], b[0]) >= _SHARED * min(a[-1] - a[0], b[-1] - b[0])
        for a, b in combinations(sets, 2)
    )
