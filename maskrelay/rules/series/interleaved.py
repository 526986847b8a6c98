"""Separate volumes whose slices are interleaved, as when two series share one series UID."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations, pairwise
from statistics import median

from maskrelay.contract.records.dicom_facts import MARKS
from maskrelay.rules.series.slices import Place, Slice

#: Marks that do not alternate within one volume.
_KINDS = ("image_type", "echo_time", "b_value", "gradient_direction", "inversion_time")
#: Fewer slices than this do not form a separate volume.
_LEAST = 3
#: The tolerance of the steps within a volume, relative to the usual step.
_EVEN = 0.1
#: Volumes are interleaved if they share this fraction of their extent.
_SHARED = 0.5


def interleaved(places: Sequence[Place]) -> list[tuple[Slice, ...]] | None:
    """Return the volumes among places with one slice each; None if they are one volume.

    They are separated by what they show, or by instance numbers that repeat from volume to volume. In both cases the
    resulting volumes must be evenly spaced and interleaved.
    """
    if len(places) < 2 * _LEAST or any(len(place.slices) != 1 for place in places):
        return None
    slices = [(place.depth, place.slices[0]) for place in places]
    columns = [column for column in map(MARKS.index, _KINDS) if all(column < len(one.ordinal) for _, one in slices)]
    keys: list[list[Hashable]] = [[one.ordinal[column] for _, one in slices] for column in columns]
    keys.append(_turns(one.facts.instance_number for _, one in slices))
    for key in keys:
        sets: dict[Hashable, list[tuple[float, Slice]]] = defaultdict(list)
        for value, placed in zip(key, slices, strict=True):
            sets[value].append(placed)
        if len(sets) > 1 and _lie_between([[depth for depth, _ in one] for one in sets.values()]):
            return [tuple(one for _, one in found) for found in sets.values()]
    return None


def _turns(numbers: Iterable[int | None]) -> list[Hashable]:
    """Return how often each number occurred before; all 0 if a number is missing, or if all are equal."""
    found, before = list(numbers), defaultdict[int | None, int](int)
    if None in found or len(set(found)) == 1:
        return [0] * len(found)
    turns: list[Hashable] = []
    for number in found:
        turns.append(before[number])
        before[number] += 1
    return turns


def _lie_between(sets: Sequence[Sequence[float]]) -> bool:
    if any(len(depths) < _LEAST for depths in sets):
        return False
    steps = [[after - before for before, after in pairwise(depths)] for depths in sets]
    usual = median(steps[0])
    if any(abs(step - usual) > _EVEN * usual for one in steps for step in one):
        return False
    return all(
        min(one[-1], other[-1]) - max(one[0], other[0]) >= _SHARED * min(one[-1] - one[0], other[-1] - other[0])
        for one, other in combinations(sets, 2)
    )
