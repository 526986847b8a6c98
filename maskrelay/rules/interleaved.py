"""Separate volumes whose slices are interleaved, as when two series share one series UID."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations, pairwise
from statistics import median

from maskrelay.contract.dicom import MARKS
from maskrelay.rules.slices import Place, Slice

#: Marks in which the slices of one volume never take turns.
_KINDS = ("image_type", "echo_time", "b_value", "gradient_direction", "inversion_time")
#: Fewer slices than this are no volume of their own.
_LEAST = 3
#: Steps may differ by this part of the usual one within a volume.
_EVEN = 0.1
#: Volumes lie between each other if they share this part of their extent.
_SHARED = 0.5


def interleaved(places: Sequence[Place]) -> list[tuple[Slice, ...]] | None:
    """The volumes among places of one slice each; None where they are one volume.

    They are apart by what they show, or where instance numbers come again from volume to volume. Either has to give
    volumes that are even and lie between each other.
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
    """How often each number came before; all 0 where some object has none, or all have the same."""
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
