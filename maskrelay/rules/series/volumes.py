"""The assignment of slices to volumes, if several slices are at the same position.

Such volumes are, for example, echoes, diffusion weightings or the phases of a perfusion.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from maskrelay.contract.records.dicom_facts import (
    CLOCKS,
    KINDS,
    MARKS,
    Mark,
)
from maskrelay.rules.series.interleaved import interleaved
from maskrelay.rules.series.slices import Place, Slice

#: The indices of the marks that can distinguish volumes, in order of preference. Marks that are times are not included.
_PREFERRED = tuple(MARKS.index(name) for name in (*KINDS, *(name for name in MARKS if name not in KINDS + CLOCKS)))
_CLOCKS = tuple(MARKS.index(name) for name in CLOCKS)
_KINDS = frozenset(MARKS.index(name) for name in KINDS)
#: The largest number of marks that are combined to distinguish volumes. Without a limit, a malicious header could cause
#: a search through all combinations.
_MOST_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Volume:
    """The slices of a volume.

    Usually a volume has one slice at each place. If slices cannot be distinguished, it has several slices at a place.
    """

    slices: tuple[Slice, ...]
    #: The marks by which this volume differs from the others, by name. Volumes with the same values of these marks also
    #: get an `order`, which numbers them from 1. The dict is empty if there is only one volume.
    told_apart_by: dict[str, Mark] = field(default_factory=dict)
    #: The slices that were left out, because there is a slice with the same pixels at the same place.
    repeats: tuple[Slice, ...] = ()


def volumes_of(places: Sequence[Place]) -> list[Volume]:
    """Return the volumes that share these places. Each slice belongs to one volume.

    If every place has one slice, the slices form one volume, or several interleaved volumes. If the slices have
    different numbers of marks, they form one volume. Otherwise, the slices are divided by the smallest set of marks
    that gives as many volumes as there are slices at the fullest place. If there is no such set, the slices are first
    divided by kind (ImageType, echo, b-value and others). The slices of each kind are then divided by marks or, if that
    fails, by their order at each place. If that fails too, both ways are tried without repeated slices. If both fail
    again, the slices of the kind form one volume.
    """
    everything = tuple(each for place in places for each in place.slices)
    if between := interleaved(places):
        return _named(between)
    if all(len(place.slices) == 1 for place in places) or len({len(each.ordinal) for each in everything}) != 1:
        return [Volume(everything)]
    sets = _by_fewest_marks(places)
    if sets is not None:
        return _named(sets)
    parts = list(_by(_varying(places) & _KINDS, everything).values())
    resolved = [part for slices in parts for part in _resolved(_places_among(places, slices))]
    repeats = {id(part): part.repeats for part in resolved}
    named = _named([part.slices for part in resolved])
    return [
        Volume(volume.slices, volume.told_apart_by, repeats[id(part)])
        for volume, part in zip(named, resolved, strict=True)
    ]


def _resolved(places: Sequence[Place]) -> list[Volume]:
    """Separate slices of one kind by as few marks as possible or, if that fails, by their order at each place.

    If neither is possible, leave out repeated slices and try again. If that fails too, the remaining slices form one
    volume.
    """
    sets = _by_fewest_marks(places) or _by_order(places)
    if sets is not None:
        return [Volume(slices) for slices in sets]
    kept, repeats = _without_repeats(places)
    sets = _by_fewest_marks(kept) or _by_order(kept) if repeats else None
    if sets is None:
        return [Volume(tuple(each for place in kept for each in place.slices), repeats=repeats)]
    return [Volume(slices, repeats=repeats if number == 0 else ()) for number, slices in enumerate(sets)]


def _by_fewest_marks(places: Sequence[Place]) -> list[tuple[Slice, ...]] | None:
    most = max(len(place.slices) for place in places)
    if most == 1:
        return [tuple(place.slices[0] for place in places)]
    varying = _varying(places)
    kinds = varying & _KINDS
    columns = [column for column in _columns(places) if column in varying]
    for size in range(1, _MOST_COLUMNS + 1):
        for chosen in combinations(columns, size):
            sets = _separated(places, chosen, most)
            if sets is not None and all(_is_of_one_kind(slices, kinds) for slices in sets):
                return sets
    return None


def _separated(places: Sequence[Place], chosen: Sequence[int], most: int) -> list[tuple[Slice, ...]] | None:
    """Group the slices by these marks.

    Return None if a group would have two slices at the same place, or if there are not exactly `most` groups.
    """
    sets: dict[tuple[Mark, ...], list[Slice]] = defaultdict(list)
    for place in places:
        values = [_marks(each, chosen) for each in place.slices]
        if len(set(values)) != len(values):
            return None
        for value, each in zip(values, place.slices, strict=True):
            sets[value].append(each)
        if len(sets) > most:
            return None
    return [tuple(sets[value]) for value in sorted(sets)] if len(sets) == most else None


def _by_order(places: Sequence[Place]) -> list[tuple[Slice, ...]] | None:
    """Group the slices by their order at each place.

    At each place, the slices are sorted by one mark, which must distinguish the slices at every place. The first slices
    of all places form a volume, the second slices form another volume, and so on. Return None if there is no such mark,
    or if the places do not all have the same number of slices.
    """
    most = max(len(place.slices) for place in places)
    if any(len(place.slices) != most for place in places):
        return None
    width = len(places[0].slices[0].ordinal)
    columns = [column for column in _CLOCKS if column < width] + [
        column for column in _columns(places) if column not in _CLOCKS and column not in _KINDS
    ]
    for column in columns:
        if all(len({each.ordinal[column] for each in place.slices}) == most for place in places):
            ordered = [sorted(place.slices, key=lambda each: _marks(each, (column,))) for place in places]
            return [tuple(slices[rank] for slices in ordered) for rank in range(most)]
    return None


def _without_repeats(places: Sequence[Place]) -> tuple[list[Place], tuple[Slice, ...]]:
    """Return the places without repeated slices, and the slices that are left out.

    A slice is repeated if a slice with the same pixels comes before it at the same place.
    """
    kept, repeats = [], []
    for place in places:
        first: dict[str, Slice] = {}
        for each in place.slices:
            pixels = each.facts.pixels
            if pixels and each.facts.frames == 1 and pixels in first:
                repeats.append(each)
            else:
                first[pixels or f"{each.source} {each.frame}"] = each
        kept.append(Place(place.depth, tuple(first.values())))
    return kept, tuple(repeats)


def _named(sets: Sequence[Sequence[Slice]]) -> list[Volume]:
    """Return each set as a volume, with the marks that distinguish it from the other sets.

    Such a mark has one value within each set, and this value is not the same in all sets.
    """
    if len(sets) == 1:
        return [Volume(tuple(sets[0]))]
    width = min(len(each.ordinal) for slices in sets for each in slices)
    values = {
        column: [{each.ordinal[column] for each in slices} for slices in sets]
        for column in range(min(width, len(MARKS)))
        if column not in _CLOCKS
    }
    telling = {
        column: [next(iter(marks)) for marks in found]
        for column, found in values.items()
        if all(len(marks) == 1 for marks in found) and len(set().union(*found)) > 1
    }
    apart = [{MARKS[column]: found[number] for column, found in telling.items()} for number in range(len(sets))]
    alike: Mapping[tuple[Mark, ...], list[int]] = _positions([tuple(marks.values()) for marks in apart])
    for numbers in alike.values():
        if len(numbers) > 1:
            for order, number in enumerate(numbers, start=1):
                apart[number]["order"] = float(order)
    return [Volume(tuple(slices), named) for slices, named in zip(sets, apart, strict=True)]


def _positions(values: Iterable[tuple[Mark, ...]]) -> dict[tuple[Mark, ...], list[int]]:
    found: dict[tuple[Mark, ...], list[int]] = defaultdict(list)
    for number, value in enumerate(values):
        found[value].append(number)
    return found


def _columns(places: Sequence[Place]) -> list[int]:
    """Return the indices of the marks of these slices, in order of preference.

    Marks that are times come after the other marks in MARKS. Unknown marks come last.
    """
    width = len(places[0].slices[0].ordinal)
    known = [column for column in (*_PREFERRED, *_CLOCKS) if column < width]
    return known + list(range(len(MARKS), width))


def _varying(places: Sequence[Place]) -> set[int]:
    """Return the indices of the marks that differ between the slices of at least one place."""
    width = len(places[0].slices[0].ordinal)
    return {
        column
        for column in range(width)
        if any(len({each.ordinal[column] for each in place.slices}) > 1 for place in places)
    }


def _is_of_one_kind(slices: Sequence[Slice], kinds: Iterable[int]) -> bool:
    return all(len({each.ordinal[column] for each in slices}) == 1 for column in kinds)


def _by(columns: Iterable[int], slices: Iterable[Slice]) -> dict[tuple[Mark, ...], list[Slice]]:
    chosen = sorted(columns)
    found: dict[tuple[Mark, ...], list[Slice]] = defaultdict(list)
    for each in slices:
        found[_marks(each, chosen)].append(each)
    return {value: found[value] for value in sorted(found)}


def _places_among(places: Sequence[Place], slices: Sequence[Slice]) -> list[Place]:
    wanted = {(each.source, each.frame) for each in slices}
    among = (Place(place.depth, tuple(s for s in place.slices if (s.source, s.frame) in wanted)) for place in places)
    return [place for place in among if place.slices]


def _marks(slice_: Slice, columns: Iterable[int]) -> tuple[Mark, ...]:
    return tuple(slice_.ordinal[column] for column in columns)
