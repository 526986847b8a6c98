"""Arrange the sources that a survey found as the items of the job. Pure functions."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from maskrelay.contract.record import Failure
from maskrelay.contract.records.dicom_facts import DicomFacts, Vector
from maskrelay.contract.records.job import PixelOptions
from maskrelay.contract.records.planned_items import Surveyed
from maskrelay.contract.records.series_stack import SeriesStack
from maskrelay.contract.records.source_frames import Grid, Orientation
from maskrelay.errors import BurnedInAnnotation, HiddenFile, ItemError, SeriesIncomplete, UnsupportedImage
from maskrelay.rules.series.affine import affine_of_series
from maskrelay.rules.series.burned_in import judge_burned_in
from maskrelay.rules.series.hounsfield import other_than_hounsfield
from maskrelay.rules.series.mosaic import shows_mosaic
from maskrelay.rules.series.stacks import group, judge_partial
from maskrelay.rules.series.whole_slide import why_not_tissue

#: Returns the prompts of a submitted item. Objects of one series with different prompts are separate items.
PromptsOf = Callable[[int], tuple[str, ...]]
#: Returns whether this source is to be segmented. An item without any such source is left out.
Wanted = Callable[[Surveyed], bool]


@dataclass(frozen=True, slots=True)
class Draft:
    """An item that is to be planned."""

    sources: tuple[Surveyed, ...]
    #: Its images in order, each as the index of its source and the number of the image in it.
    frames: tuple[tuple[int, int], ...]
    #: Where the frames are in space.
    grid: Grid | None = None
    #: Of its first DICOM object.
    facts: DicomFacts | None = None
    findings: dict[str, Any] = field(default_factory=dict)
    held: bool = False
    #: Why it cannot be segmented.
    error: Failure | None = None


def arrange(
    surveyed: Iterator[Surveyed], options: PixelOptions, prompts_of: PromptsOf, wanted: Wanted
) -> Iterator[Draft]:
    """Yield the items in the order of the submission, one by one until the first DICOM object, the rest together.

    An ignored source becomes an item only if there are no others, and a file of the operating system never does.
    """
    ignored: list[Surveyed] = []
    empty = True
    for draft in _in_order(surveyed, options, prompts_of, ignored):
        if any(map(wanted, draft.sources)):
            empty = False
            yield draft
    if empty:
        yield from (_alone(one) for one in ignored if wanted(one) and not _is_hidden(one))


def _is_hidden(one: Surveyed) -> bool:
    return one.error is not None and one.error.code == HiddenFile.code


def _in_order(
    surveyed: Iterator[Surveyed], options: PixelOptions, prompts_of: PromptsOf, ignored: list[Surveyed]
) -> Iterator[Draft]:
    for one in surveyed:
        if one.ignored:
            ignored.append(one)
        elif one.facts is None:
            yield _alone(one)
        else:
            rest = list(surveyed)
            ignored += [other for other in rest if other.ignored]
            pictures = [one, *(other for other in rest if not other.ignored)]
            yield from _grouped(pictures, options, prompts_of)


def _alone(one: Surveyed) -> Draft:
    frames = tuple((0, number) for number in range(one.frames))
    return Draft((one,), frames, one.grid, findings=dict(one.findings), error=one.error)


def _grouped(sources: Sequence[Surveyed], options: PixelOptions, prompts_of: PromptsOf) -> Iterator[Draft]:
    """Group DICOM objects into their series; every other source is an item. Items are ordered by their first source."""
    placed: list[tuple[int, Draft]] = []
    alike: dict[Any, list[tuple[int, DicomFacts]]] = defaultdict(list)
    for place, one in enumerate(sources):
        if one.facts is None:
            placed.append((place, _alone(one)))
        else:
            alike[prompts_of(one.upload) if options.group_series else place].append((place, one.facts))
    for members in alike.values():
        stacks = group(members)
        placed += [(min(source for source, _ in stack.members), _of_stack(stack, sources, options)) for stack in stacks]
    yield from (draft for _, draft in sorted(placed, key=lambda pair: pair[0]))


def _of_stack(stack: SeriesStack, sources: Sequence[Surveyed], options: PixelOptions) -> Draft:
    used = sorted({source for source, _ in stack.members})
    place = {source: number for number, source in enumerate(used)}
    facts = sources[stack.members[0][0]].facts
    assert facts is not None
    everyone = [one for one in (sources[source].facts for source in used) if one is not None]
    judged = judge_partial(stack, options.partial_series)
    burned = max((judge_burned_in(one, options.burned_in) for one in everyone), key=("go", "warn", "refuse").index)
    findings: dict[str, Any] = _of_objects(everyone)
    findings |= {str(code): numbers for code, numbers in stack.findings.items()}
    if stack.told_apart_by:
        findings["told_apart_by"] = stack.told_apart_by
    if burned != "go":
        findings["burned_in"] = any(one.burned_in for one in everyone) or "suspected"
    error: ItemError | None = None
    if burned == "refuse":
        error = BurnedInAnnotation()
    elif reason := next(filter(None, map(why_not_tissue, everyone)), None):
        error = UnsupportedImage(f"{reason[:1].upper()}{reason[1:]}.")
    elif judged == "fail":
        found = ", ".join(sorted(stack.findings))
        error = SeriesIncomplete(f"Found: {found}. The option partial_series=best_effort segments what is there.")
    return Draft(
        sources=tuple(sources[source] for source in used),
        frames=tuple((place[source], picture) for source, picture in stack.members),
        grid=_grid(stack, sources),
        facts=facts,
        findings=findings,
        held=judged == "hold",
        error=Failure(code=error.code, detail=error.detail) if error else None,
    )


def _of_objects(everyone: Sequence[DicomFacts]) -> dict[str, Any]:
    """Return the findings about single objects: for each code, the values of the first object with it."""
    findings: dict[str, Any] = {}
    for one in everyone:
        other, is_mosaic = other_than_hounsfield(one), shows_mosaic(one)
        found = dict(one.findings) | ({"not_hounsfield": (other,)} if other else {})
        found |= {"mosaic": (one.columns, one.rows)} if is_mosaic else {}
        findings = {**found, **findings}
    return findings


def _grid(stack: SeriesStack, sources: Sequence[Surveyed]) -> Grid | None:
    """Return the grid; None if the frames do not form an evenly spaced volume."""
    if not stack.is_volume or stack.orientation is None or stack.spacing is None:
        return None
    positions = [_position(sources[source], frame) for source, frame in stack.members]
    facts = sources[stack.members[0][0]].facts
    assert facts is not None
    placement = affine_of_series(stack.orientation, positions, stack.spacing, stack.step)
    shape = facts.columns, facts.rows, placement.places[-1] + 1
    return Grid(shape=shape, affine=placement.affine, places=placement.places, turn=Orientation(transpose=True))


def _position(source: Surveyed, frame: int) -> Vector:
    assert source.facts is not None
    return source.facts.positions[frame if len(source.facts.positions) > 1 else 0]
