"""The grouping of DICOM objects into stacks that are ordered along the normal.

Irregularities of a stack are reported as findings. Only the headers are used. The order never depends on instance
numbers. Source of the geometry: DICOM PS3.3, C.7.6.2.1.1.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import median
from typing import Literal

from maskrelay.contract.records.dicom_facts import DicomFacts, Orientation
from maskrelay.contract.records.series_stack import Finding, SeriesStack
from maskrelay.rules.series.matching import (
    Numbered,
    count_orientations,
    count_sizes,
    slices_of,
    split_alike,
    without_duplicates,
)
from maskrelay.rules.series.slices import (
    Place,
    Slice,
    aside,
    normal_of,
    places_of,
)
from maskrelay.rules.series.volumes import Volume, volumes_of

Policy = Literal["fail", "best_effort", "hold"]
Findings = dict[Finding, tuple[float, ...]]

#: The findings that are reported if slices are missing or cannot be distinguished.
INCOMPLETE: frozenset[Finding] = frozenset({"gaps", "missing_slices", "ambiguous_positions"})

#: The largest deviation of a slice from the even grid, as a fraction of a step.
_UNEVEN = 0.1
#: The largest distance of a slice from the normal through the first slice. The first number is a fraction of the pixel
#: spacing. The second number, in millimetres, is used if the spacing is unknown.
_ASIDE, _ASIDE_MM = 0.25, 0.1


def group(facts: Sequence[Numbered]) -> list[SeriesStack]:
    """Return the stacks of these numbered objects, in the order of their lowest numbers.

    An object without a position, or without a series UID, is a stack of its own. In anonymised data, all objects may
    have the same series UID. Objects with the same series UID are therefore separated by patient, study, modality and
    series number.
    """
    series: dict[str | int, list[Numbered]] = {}
    for number, header in sorted(facts, key=lambda pair: pair[0]):
        series.setdefault(header.series or number, []).append((number, header))
    stacks = [stack for objects in series.values() for stack in _of_one_uid(objects)]
    return sorted(stacks, key=lambda stack: min(stack.members))


def _of_one_uid(objects: Sequence[Numbered]) -> list[SeriesStack]:
    """Return the stacks of objects with the same series UID."""
    apart: dict[tuple[object, ...], list[Numbered]] = {}
    for number, facts in objects:
        apart.setdefault((facts.patient, facts.study, facts.modality, facts.series_number), []).append((number, facts))
    everyone = [facts for _, facts in objects]
    counts: dict[Finding, int] = {
        "mixed_patients": len({facts.patient for facts in everyone}),
        "mixed_studies": len({facts.study for facts in everyone}),
        "mixed_series": len({(facts.modality, facts.series_number) for facts in everyone}),
        "mixed_frames_of_reference": len({facts.frame_of_reference for facts in everyone if facts.positions}),
    }
    mixed: Findings = {code: (count,) for code, count in counts.items() if count > 1}
    return [stack for together in apart.values() for stack in _stacks(together, mixed)]


def judge_partial(stack: SeriesStack, policy: Policy) -> Literal["go", "fail", "hold"]:
    """Apply the policy for incomplete series to the findings of a stack.

    Return `go` if the item is processed normally, and `fail` if it fails with `series_incomplete`. Return `hold` if its
    frames are segmented, but no whole-item files are made and the item ends as partial.
    """
    found = INCOMPLETE & stack.findings.keys()
    if found == {"missing_slices"} and stack.findings["missing_slices"][0] == 1:
        return "go"  # a single image is not a volume with missing slices
    return policy if found and policy != "best_effort" else "go"


def _stacks(objects: Sequence[Numbered], mixed: Findings) -> list[SeriesStack]:
    kept, again = without_duplicates(objects)
    slices, stacks = [], []
    for number, facts in kept:
        found = slices_of(number, facts)
        slices += found
        if not found:
            stacks.append(_unplaced(number, facts, mixed, again))
    clusters = split_alike(slices)
    shared = mixed | _of_series([facts for _, facts in kept], clusters)
    for cluster in clusters:
        orientation = cluster[0].orientation
        volumes = volumes_of(places_of(cluster, orientation))
        stacks += [_stack(volume, orientation, shared, again) for volume in volumes]
    return stacks


def _unplaced(number: int, facts: DicomFacts, mixed: Findings, again: Counter[int]) -> SeriesStack:
    return SeriesStack(
        members=tuple((number, frame) for frame in range(facts.frames)),
        places=tuple(range(facts.frames)),
        findings=mixed | _duplicates([number], again),
        spacing=facts.spacing,
    )


def _of_series(objects: Sequence[DicomFacts], clusters: Sequence[Sequence[Slice]]) -> Findings:
    """Return the findings about a series as a whole.

    The numbers in the headers are compared with the number of received frames. In some headers, they count the frames
    of multi-frame objects and not the objects.
    """
    came = sum(facts.frames for facts in objects)
    expected = max(facts.expected or 0 for facts in objects)
    found: Findings = {}
    if expected > came:
        found["missing_slices"] = (came, expected)
    if (acquired := max(facts.acquired or 0 for facts in objects)) > came:
        found["fewer_than_acquired"] = (came, acquired)
    if (orientations := count_orientations(clusters)) > 1:
        found["mixed_orientations"] = (orientations,)
    if (sizes := count_sizes(clusters)) > 1:
        found["mixed_sizes"] = (sizes,)
    return found


def _duplicates(sources: Sequence[int], again: Counter[int], repeats: int = 0) -> Findings:
    dropped = sum(again[source] for source in set(sources)) + repeats
    return {"duplicates": (dropped,)} if dropped else {}


def _stack(volume: Volume, orientation: Orientation, shared: Findings, again: Counter[int]) -> SeriesStack:
    places = places_of(volume.slices, orientation)
    slices = [member for place in places for member in place.slices]
    first = slices[0].facts
    numbers = _numbers([place.depth for place in places])
    step = _step(places, numbers)
    found = {
        **shared,
        **_duplicates([member.source for member in (*slices, *volume.repeats)], again, len(volume.repeats)),
        **_along(places, numbers, step),
        **_across(slices, orientation),
    }
    broken = {"tilted", "uneven_steps", "ambiguous_positions"} & found.keys()
    mostly_there = numbers[-1] < 2 * len(numbers)  # if not, a few distant slices would make a huge volume
    return SeriesStack(
        members=tuple((member.source, member.frame) for member in slices),
        places=tuple(number for number, place in zip(numbers, places, strict=True) for _ in place.slices),
        findings=found,
        orientation=orientation,
        spacing=first.spacing,
        step=step,
        is_volume=step is not None and first.spacing is not None and mostly_there and not broken,
        told_apart_by=volume.told_apart_by,
    )


def _numbers(depths: Sequence[float]) -> list[int]:
    """Return the slice number of each place.

    Each number is the previous number plus the distance between the two places. The unit of the distance is the median
    of all distances. The distance is rounded to a whole number, and is at least 1.
    """
    steps = [after - before for before, after in pairwise(depths)]
    usual = median(steps) if steps else 1.0
    return list(accumulate((max(1, round(step / usual)) for step in steps), initial=0))


def _step(places: Sequence[Place], numbers: Sequence[int]) -> float | None:
    if len(places) == 1:
        return places[0].slices[0].facts.thickness or None
    return (places[-1].depth - places[0].depth) / numbers[-1]


def _along(places: Sequence[Place], numbers: Sequence[int], step: float | None) -> Findings:
    """Return the findings about positions along the normal."""
    found: Findings = {}
    crowded = sum(len(place.slices) > 1 for place in places)
    if crowded:
        found["ambiguous_positions"] = (crowded,)
    gaps = tuple(after - before - 1 for before, after in pairwise(numbers) if after - before > 1)
    if gaps:
        found["gaps"] = gaps
    grid = [
        (place.depth - places[0].depth) - number * (step or 0) for place, number in zip(places, numbers, strict=True)
    ]
    off = sum(abs(distance) > _UNEVEN * (step or 0) for distance in grid[1:])
    if off:
        found["uneven_steps"] = (off,)
    return found


def _across(slices: Sequence[Slice], orientation: Orientation) -> Findings:
    """Return a finding if slices are not on the normal through the first slice.

    The cause can be a tilted gantry or a shift.
    """
    normal, spacing = normal_of(orientation), slices[0].facts.spacing
    start = aside(slices[0].position, normal)
    worst = max(math.dist(start, aside(member.position, normal)) for member in slices)
    most = _ASIDE * min(spacing) if spacing else _ASIDE_MM
    return {"tilted": (round(worst, 3),)} if worst > most else {}
