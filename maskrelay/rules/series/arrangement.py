"""The arrangement of surveyed sources in items."""

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
from maskrelay.rules.item_options import EffectiveOptions
from maskrelay.rules.series.affine import affine_of_series
from maskrelay.rules.series.burned_in import judge_burned_in
from maskrelay.rules.series.hounsfield import other_than_hounsfield
from maskrelay.rules.series.mosaic import shows_mosaic
from maskrelay.rules.series.stacks import group, judge_partial
from maskrelay.rules.series.whole_slide import why_not_tissue

#: A function that returns the prompts and the options of a submitted item. Objects of one series with different prompts
#: or options belong to different items.
RequestOf = Callable[[int], tuple[tuple[str, ...], EffectiveOptions]]
#: What the objects of one item have in common: prompts, options, and the place of the object if series are not grouped.
_Alike = tuple[tuple[str, ...], EffectiveOptions, int | None]
#: A function that returns whether a source must be segmented. An item without any such source is skipped.
Wanted = Callable[[Surveyed], bool]


@dataclass(frozen=True, slots=True)
class Draft:
    """An item that is to be planned."""

    sources: tuple[Surveyed, ...]
    #: The frames of the item in order. Each consists of the index of its source in `sources`, and of the frame's number
    #: within that source.
    frames: tuple[tuple[int, int], ...]
    #: The position of the frames in space.
    grid: Grid | None = None
    #: The facts of the item's first DICOM object.
    facts: DicomFacts | None = None
    findings: dict[str, Any] = field(default_factory=dict)
    #: Whether the item is held, because slices are missing (see `PlannedItem`).
    held: bool = False
    #: The reason why the item cannot be segmented.
    error: Failure | None = None


def arrange(surveyed: Iterator[Surveyed], request_of: RequestOf, wanted: Wanted) -> Iterator[Draft]:
    """Yield the items in the order of the submission.

    Sources are taken from the survey one at a time up to the first DICOM object. Then all remaining sources are taken,
    because there may be objects of the same series among them. An ignored source becomes an item only if the job has no
    other items. A file that an operating system created never becomes an item.
    """
    ignored: list[Surveyed] = []
    empty = True
    for draft in _in_order(surveyed, request_of, ignored):
        if any(map(wanted, draft.sources)):
            empty = False
            yield draft
    if empty:
        yield from (_alone(source) for source in ignored if wanted(source) and not _is_hidden(source))


def _is_hidden(source: Surveyed) -> bool:
    return source.error is not None and source.error.code == HiddenFile.code


def _in_order(surveyed: Iterator[Surveyed], request_of: RequestOf, ignored: list[Surveyed]) -> Iterator[Draft]:
    for source in surveyed:
        if source.ignored:
            ignored.append(source)
        elif source.facts is None:
            yield _alone(source)
        else:
            rest = list(surveyed)
            ignored += [other for other in rest if other.ignored]
            pictures = [source, *(other for other in rest if not other.ignored)]
            yield from _grouped(pictures, request_of)


def _alone(source: Surveyed) -> Draft:
    frames = tuple((0, number) for number in range(source.frames))
    return Draft((source,), frames, source.grid, findings=dict(source.findings), error=source.error)


def _grouped(sources: Sequence[Surveyed], request_of: RequestOf) -> Iterator[Draft]:
    """Group DICOM objects by series. Every other source becomes an item. Items are ordered by their first source."""
    placed: list[tuple[int, Draft]] = []
    alike: dict[_Alike, list[tuple[int, DicomFacts]]] = defaultdict(list)
    for place, surveyed in enumerate(sources):
        if surveyed.facts is None:
            placed.append((place, _alone(surveyed)))
        else:
            prompts, options = request_of(surveyed.upload)
            key = (prompts, options, None if options.pixels.group_series else place)
            alike[key].append((place, surveyed.facts))
    for (_, options, _), members in alike.items():
        stacks, pixels = group(members), options.pixels
        placed += [(min(source for source, _ in stack.members), _of_stack(stack, sources, pixels)) for stack in stacks]
    yield from (draft for _, draft in sorted(placed, key=lambda pair: pair[0]))


def _of_stack(stack: SeriesStack, sources: Sequence[Surveyed], options: PixelOptions) -> Draft:
    used = sorted({source for source, _ in stack.members})
    place = {source: number for number, source in enumerate(used)}
    facts = sources[stack.members[0][0]].facts
    assert facts is not None
    everyone = [found for found in (sources[source].facts for source in used) if found is not None]
    judged = judge_partial(stack, options.partial_series)
    burned = max((judge_burned_in(each, options.burned_in) for each in everyone), key=("go", "warn", "refuse").index)
    findings: dict[str, Any] = _of_objects(everyone)
    findings |= {str(code): numbers for code, numbers in stack.findings.items()}
    if stack.told_apart_by:
        findings["told_apart_by"] = stack.told_apart_by
    if burned != "go":
        findings["burned_in"] = any(each.burned_in for each in everyone) or "suspected"
    error: ItemError | None = None
    if burned == "refuse":
        error = BurnedInAnnotation()
    elif reason := next(filter(None, map(why_not_tissue, everyone)), None):
        error = UnsupportedImage(f"{reason[:1].upper()}{reason[1:]}.")
    elif judged == "fail":
        found = ", ".join(sorted(stack.findings))
        error = SeriesIncomplete(
            f"The series has these findings: {found}. With the option partial_series=best_effort, the existing slices "
            "are segmented."
        )
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
    """Return the findings about individual objects.

    If several objects have the same finding, the values of the first object are used.
    """
    findings: dict[str, Any] = {}
    for facts in everyone:
        other, is_mosaic = other_than_hounsfield(facts), shows_mosaic(facts)
        found = dict(facts.findings) | ({"not_hounsfield": (other,)} if other else {})
        found |= {"mosaic": (facts.columns, facts.rows)} if is_mosaic else {}
        findings = {**found, **findings}
    return findings


def _grid(stack: SeriesStack, sources: Sequence[Surveyed]) -> Grid | None:
    """Return the grid of a stack, or None if its frames do not form an evenly spaced volume."""
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
