"""Assign several slices at one position to volumes: echoes, diffusion weightings, phases of a perfusion."""

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

#: Columns of the marks, in order of preference.
_PREFERRED = tuple(MARKS.index(name) for name in (*KINDS, *(name for name in MARKS if name not in KINDS + CLOCKS)))
_CLOCKS = tuple(MARKS.index(name) for name in CLOCKS)
_KINDS = frozenset(MARKS.index(name) for name in KINDS)
#: The largest number of marks that are combined. Without a limit, a malicious header could cause a search of all
#: combinations.
_MOST_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Volume:
    """Slices with at most one per place, unless they cannot be told apart."""

    slices: tuple[Slice, ...]
    #: The marks by which this volume differs from the others; for a clock, the order from 1. Empty for a single volume.
    told_apart_by: dict[str, Mark] = field(default_factory=dict)
    #: Slices that were left out because an equal slice is at the same place.
    repeats: tuple[Slice, ...] = ()


def volumes_of(places: Sequence[Place]) -> list[Volume]:
    """Return the volumes that share these places. Each slice belongs to one volume.

    First, the smallest set of marks is searched that results in as many volumes as the fullest place has slices. If
    there is none, slices of different kinds (ImageType, echo, b-value …) are separated, and slices of one kind by the
    order of their times. If a place still has several slices, exact repeats are removed, and what is left is one
    volume. Interleaved volumes are separated too.
    """
    everything = tuple(one for place in places for one in place.slices)
    if between := interleaved(places):
        return _named(between)
    if all(len(place.slices) == 1 for place in places) or len({len(one.ordinal) for one in everything}) != 1:
        return [Volume(everything)]
    sets = _by_fewest_marks(places)
    if sets is not None:
        return _named(sets)
    parts = list(_by(_varying(places) & _KINDS, everything).values())
    resolved = [part for slices in parts for part in _resolved(_places_among(places, slices))]
    repeats = {id(part): part.repeats for part in resolved}
    named = _named([part.slices for part in resolved])
    return [Volume(one.slices, one.told_apart_by, repeats[id(part)]) for one, part in zip(named, resolved, strict=True)]


def _resolved(places: Sequence[Place]) -> list[Volume]:
    """Separate slices of one kind: by the fewest marks, by the order of their times, or as one volume."""
    sets = _by_fewest_marks(places) or _by_order(places)
    if sets is not None:
        return [Volume(slices) for slices in sets]
    kept, repeats = _without_repeats(places)
    sets = _by_fewest_marks(kept) or _by_order(kept) if repeats else None
    if sets is None:
        return [Volume(tuple(one for place in kept for one in place.slices), repeats=repeats)]
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

    Returns None if a group would have two slices at one place, or if there are not exactly `most` groups.
    """
    sets: dict[tuple[Mark, ...], list[Slice]] = defaultdict(list)
    for place in places:
        values = [_marks(one, chosen) for one in place.slices]
        if len(set(values)) != len(values):
            return None
        for value, one in zip(values, place.slices, strict=True):
            sets[value].append(one)
        if len(sets) > most:
            return None
    return [tuple(sets[value]) for value in sorted(sets)] if len(sets) == most else None


def _by_order(places: Sequence[Place]) -> list[tuple[Slice, ...]] | None:
    """Take the first at each place, the second and so on, by one mark that differs at every place.

    All places must be equally full.
    """
    most = max(len(place.slices) for place in places)
    if any(len(place.slices) != most for place in places):
        return None
    width = len(places[0].slices[0].ordinal)
    columns = [column for column in _CLOCKS if column < width] + [
        column for column in _columns(places) if column not in _CLOCKS and column not in _KINDS
    ]
    for column in columns:
        if all(len({one.ordinal[column] for one in place.slices}) == most for place in places):
            ordered = [sorted(place.slices, key=lambda one: _marks(one, (column,))) for place in places]
            return [tuple(slices[rank] for slices in ordered) for rank in range(most)]
    return None


def _without_repeats(places: Sequence[Place]) -> tuple[list[Place], tuple[Slice, ...]]:
    """Return the places with each image once, and the slices that were left out because their pixels are repeated."""
    kept, repeats = [], []
    for place in places:
        first: dict[str, Slice] = {}
        for one in place.slices:
            pixels = one.facts.pixels
            if pixels and one.facts.frames == 1 and pixels in first:
                repeats.append(one)
            else:
                first[pixels or f"{one.source} {one.frame}"] = one
        kept.append(Place(place.depth, tuple(first.values())))
    return kept, tuple(repeats)


def _named(sets: Sequence[Sequence[Slice]]) -> list[Volume]:
    """Return each set with the marks that have one value within every set and are not the same in all sets."""
    if len(sets) == 1:
        return [Volume(tuple(sets[0]))]
    width = min(len(one.ordinal) for slices in sets for one in slices)
    values = {
        column: [{one.ordinal[column] for one in slices} for slices in sets]
        for column in range(min(width, len(MARKS)))
        if column not in _CLOCKS
    }
    telling = {
        column: [next(iter(one)) for one in found]
        for column, found in values.items()
        if all(len(one) == 1 for one in found) and len(set().union(*found)) > 1
    }
    apart = [{MARKS[column]: found[number] for column, found in telling.items()} for number in range(len(sets))]
    alike: Mapping[tuple[Mark, ...], list[int]] = _positions([tuple(one.values()) for one in apart])
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
    """Return the columns of these slices' marks, preferred columns first and clocks last."""
    width = len(places[0].slices[0].ordinal)
    known = [column for column in (*_PREFERRED, *_CLOCKS) if column < width]
    return known + list(range(len(MARKS), width))


def _varying(places: Sequence[Place]) -> set[int]:
    """Return the columns that differ within at least one place."""
    width = len(places[0].slices[0].ordinal)
    return {
        column
        for column in range(width)
        if any(len({one.ordinal[column] for one in place.slices}) > 1 for place in places)
    }


def _is_of_one_kind(slices: Sequence[Slice], kinds: Iterable[int]) -> bool:
    return all(len({one.ordinal[column] for one in slices}) == 1 for column in kinds)


def _by(columns: Iterable[int], slices: Iterable[Slice]) -> dict[tuple[Mark, ...], list[Slice]]:
    chosen = sorted(columns)
    found: dict[tuple[Mark, ...], list[Slice]] = defaultdict(list)
    for one in slices:
        found[_marks(one, chosen)].append(one)
    return {value: found[value] for value in sorted(found)}


def _places_among(places: Sequence[Place], slices: Sequence[Slice]) -> list[Place]:
    wanted = {(one.source, one.frame) for one in slices}
    among = (Place(place.depth, tuple(s for s in place.slices if (s.source, s.frame) in wanted)) for place in places)
    return [place for place in among if place.slices]


def _marks(one: Slice, columns: Iterable[int]) -> tuple[Mark, ...]:
    return tuple(one.ordinal[column] for column in columns)
