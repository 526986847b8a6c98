"""DICOM objects → stacks: grouped by series and orientation, ordered by position, judged for what is missing."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median
from typing import Any, Literal

from maskrelay.contract.dicom import DicomFacts, Orientation, Vector
from maskrelay.contract.series import Stack
from maskrelay.contract.sources import Grid, Turn
from maskrelay.rules.affine import affine_of_series

#: Direction cosines, and millimetres of spacing, closer than this are the same.
ALIKE = 1e-3
#: Millimetres along the normal within which two slices are at one place.
ONE_PLACE = 0.01
#: A step of so many usual steps is a gap, of less than so many uneven.
GAP, UNEVEN = 1.5, 0.5
#: Millimetres, and share of a slice's way along the normal, that slices may be shifted in their plane.
SHIFT, SHIFT_SHARE = 0.1, 0.01
#: A series with one of these is partial.
PARTIAL = frozenset({"gaps", "missing_slices", "ambiguous_positions"})

Judged = Literal["go", "fail", "hold"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame of one object, with its place in space."""

    source: int
    frame: int
    facts: DicomFacts
    position: Vector
    orientation: Orientation
    ordinal: tuple[float, ...]

    @property
    def depth(self) -> float:
        """Millimetres along the slices' normal."""
        return sum(along * part for along, part in zip(normal_of(self.orientation), self.position, strict=True))


def judge_partial(stack: Stack, policy: Literal["fail", "best_effort", "hold"]) -> Judged:
    """What becomes of the stack: segmented, failed, or segmented without files of the whole."""
    if PARTIAL.isdisjoint(stack.findings):
        return "go"
    answers: dict[str, Judged] = {"fail": "fail", "best_effort": "go", "hold": "hold"}
    return answers[policy]


def group(objects: Sequence[tuple[int, DicomFacts]]) -> list[Stack]:
    """The stacks of these objects, each given with its number; in order of their first objects' numbers.

    The order in which objects are given, and their instance numbers, do not matter.
    """
    by_series: dict[str, list[tuple[int, DicomFacts]]] = defaultdict(list)
    for source, facts in objects:
        by_series[facts.series or f"{source}"].append((source, facts))
    stacks = [stack for series in by_series.values() for stack in _of_series(series)]
    return sorted(stacks, key=lambda stack: min(stack.members))


def _of_series(objects: Sequence[tuple[int, DicomFacts]]) -> list[Stack]:
    unique: dict[str, tuple[int, DicomFacts]] = {}
    for source, facts in objects:
        unique.setdefault(facts.sop_instance or f"{source}", (source, facts))
    about: dict[str, Any] = {}
    if len(unique) < len(objects):
        about["duplicates"] = len(objects) - len(unique)
    expected = max((facts.expected or 0 for _, facts in unique.values()), default=0)
    if expected > len(unique):
        about["missing_slices"] = expected - len(unique)
    placed = [(source, facts) for source, facts in unique.values() if facts.positions and facts.orientations]
    placeless = [(source, facts) for source, facts in unique.values() if not (facts.positions and facts.orientations)]
    alone = [_placeless(source, facts, about) for source, facts in placeless]
    return alone + _stacks([picture for source, facts in placed for picture in _pictures(source, facts)], about)


def _placeless(source: int, facts: DicomFacts, about: dict[str, Any]) -> Stack:
    """A clip, a radiograph: its frames as they come, nothing said of their place."""
    return Stack(members=tuple((source, frame) for frame in range(facts.frames)), findings=about)


def _pictures(source: int, facts: DicomFacts) -> Iterable[Picture]:
    for frame in range(facts.frames):
        orientation = facts.orientations[frame if len(facts.orientations) > 1 else 0]
        position = facts.positions[frame if len(facts.positions) > 1 else 0]
        ordinal = facts.frame_ordinals[frame] if len(facts.frame_ordinals) == facts.frames else facts.ordinal
        yield Picture(source, frame, facts, position, orientation, ordinal)


def _stacks(pictures: Sequence[Picture], about: dict[str, Any]) -> list[Stack]:
    alike = _alike(pictures)
    if len(alike) > 1:
        about = {**about, "mixed_orientations": len(alike)}
    stacks: list[Stack] = []
    for some in alike:
        parts = _told_apart(sorted(some, key=_order))
        more = {"several_at_each_position": len(parts)} if len(parts) > 1 else {}
        stacks += [_stack(part, {**about, **more}) for part in parts]
    return stacks


def _order(picture: Picture) -> tuple[Any, ...]:
    """Along the normal; what lies at one place by its numbers and then by its name, so that the order is one."""
    return round(picture.depth / ONE_PLACE), picture.ordinal, picture.facts.sop_instance, picture.frame


def _alike(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """Frames of one size, orientation and spacing together."""
    found: list[list[Picture]] = []
    for picture in sorted(pictures, key=lambda one: (one.facts.sop_instance, one.frame)):
        for some in found:
            if _fits(picture, some[0]):
                some.append(picture)
                break
        else:
            found.append([picture])
    return found


def _fits(one: Picture, other: Picture) -> bool:
    same = (one.facts.rows, one.facts.columns, one.facts.samples) == (
        other.facts.rows,
        other.facts.columns,
        other.facts.samples,
    )
    close = _close(one.orientation, other.orientation)
    spacing = (one.facts.spacing or (0.0, 0.0)), (other.facts.spacing or (0.0, 0.0))
    return same and close and _close(*spacing)


def _close(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) <= ALIKE for a, b in zip(one, other, strict=True))


def _told_apart(ordered: Sequence[Picture]) -> list[list[Picture]]:
    """One stack, or one for each echo, time … where frames at one place are told apart by the fewest numbers."""
    if not _at_one_place(ordered):
        return [list(ordered)]
    numbers = range(min((len(picture.ordinal) for picture in ordered), default=0))
    for many in (1, 2):
        for chosen in combinations(numbers, many):
            parts = _split(ordered, chosen)
            if len(parts) > 1 and not any(_at_one_place(part) for part in parts):
                return parts
    return [list(ordered)]


def _split(ordered: Sequence[Picture], chosen: Sequence[int]) -> list[list[Picture]]:
    """By the chosen ones of their numbers."""
    parts: dict[tuple[float, ...], list[Picture]] = defaultdict(list)
    for picture in ordered:
        parts[tuple(picture.ordinal[number] for number in chosen)].append(picture)
    return [parts[name] for name in sorted(parts)]


def _at_one_place(ordered: Sequence[Picture]) -> int:
    """How many frames lie at the place of the one before."""
    return sum(after.depth - before.depth < ONE_PLACE for before, after in pairwise(ordered))


def _stack(ordered: Sequence[Picture], about: dict[str, Any]) -> Stack:
    findings = {**about, **_steps(ordered), **_shifts(ordered)}
    members = tuple((picture.source, picture.frame) for picture in ordered)
    return Stack(members=members, findings=findings, grid=_grid(ordered, findings))


def _steps(ordered: Sequence[Picture]) -> dict[str, Any]:
    """What the distances between neighbours tell."""
    several = _at_one_place(ordered)
    if several:
        return {"ambiguous_positions": several}
    steps = [after.depth - before.depth for before, after in pairwise(ordered)]
    if len(steps) < 2:
        return {}
    usual = median(steps)
    missing = sum(round(step / usual) - 1 for step in steps if step > GAP * usual)
    uneven = sum(step < UNEVEN * usual for step in steps)
    return {**({"gaps": missing} if missing else {}), **({"uneven_steps": uneven} if uneven else {})}


def _shifts(ordered: Sequence[Picture]) -> dict[str, Any]:
    """How far, in millimetres, the slice that is worst lies beside the normal through the first."""
    first = ordered[0]
    normal = normal_of(first.orientation)
    worst = 0.0
    for picture in ordered:
        along = picture.depth - first.depth
        on_normal = [begin + along * part for begin, part in zip(first.position, normal, strict=True)]
        shift = math.dist(picture.position, on_normal)
        worst = max(worst, shift if shift > max(SHIFT, SHIFT_SHARE * abs(along)) else 0.0)
    return {"tilted": round(worst, 2)} if worst else {}


def _grid(ordered: Sequence[Picture], findings: dict[str, Any]) -> Grid | None:
    """None where spacing is unknown, places are doubled, or a slice lies over half a step from its even place."""
    facts = ordered[0].facts
    if facts.spacing is None or "ambiguous_positions" in findings:
        return None
    positions = [picture.position for picture in ordered]
    placement = affine_of_series(ordered[0].orientation, positions, facts.spacing, facts.thickness)
    step = sum(row[2] ** 2 for row in placement.affine) ** 0.5
    if placement.off_mm > step / 2:
        return None
    shape = facts.columns, facts.rows, placement.places[-1] + 1
    return Grid(shape=shape, affine=placement.affine, places=placement.places, turn=Turn(transpose=True))


def normal_of(orientation: Orientation) -> Vector:
    """Across both directions of a slice (PS3.3 C.7.6.2.1.1): rows × columns."""
    a, b, c, d, e, f = orientation
    return b * f - c * e, c * d - a * f, a * e - b * d
