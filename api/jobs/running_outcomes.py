"""The visible outcomes of a job that has no result yet.

All parts are read for them if the ledger has no list of the parts. Otherwise, see `indexed_outcomes`.
"""

from collections.abc import Iterator, Sequence

from api.dependencies import Dependencies
from api.jobs.indexed_outcomes import is_listed, numbers_of, outcomes_near, outcomes_of_item
from api.jobs.lookup import JobSnapshot
from maskrelay.contract.records.item_lines import ItemLine, item_line
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.rules.visible_line import VisibleLines, placed

Listed = Sequence[tuple[str, frozenset[int] | None]]


def listed_parts(dependencies: Dependencies, known: JobSnapshot) -> Listed:
    """Return the job's parts in the order in which they were settled, each with its refused frames.

    A frame is refused in a part if its line there was not settled.

    If the ledger has no record of the job or has removed its list of parts, return the parts in storage in the order of
    their names. In this case, the refused frames are unknown, and None is returned in their place.
    """
    if known.record is not None and not known.terminal:
        return dependencies.ledger.jobs.parts(known.id)
    return [(name, None) for name in dependencies.archive.parts(known.id)]


def no_lines(dependencies: Dependencies, known: JobSnapshot) -> VisibleLines:
    """Return a new instance of the rule that decides which lines are visible."""
    frames = known.frames().planned if known.planned else dependencies.archive.most_frames(known.id)
    return VisibleLines(frames)


def pass_over(
    dependencies: Dependencies, known: JobSnapshot, part: str, refused: frozenset[int] | None, lines: VisibleLines
) -> list[int]:
    """Offer every line of a part to `lines`. Return the frames that had no visible line before, and have one now."""
    decided = []
    for frame, succeeded in dependencies.archive.frames(known.id, part):
        fresh = not lines.decided(frame)
        if _offer(lines, frame, succeeded, refused) and fresh:
            decided.append(frame)
    return decided


def visible_in(
    dependencies: Dependencies, known: JobSnapshot, part: str, refused: frozenset[int] | None, lines: VisibleLines
) -> Iterator[tuple[int, Outcome, PlannedItem, bool]]:
    """Yield the visible lines of a part: place, outcome, item, and whether the frame had no visible line before.

    Every line is offered to `lines`, except unusable lines and lines whose frame is not in the plan.
    """
    for place, outcome in enumerate(dependencies.archive.outcomes(known.id, part)):
        if outcome is None or (item := dependencies.archive.item_of(known.id, outcome.frame)) is None:
            continue
        fresh = not lines.decided(outcome.frame)
        if _offer(lines, outcome.frame, outcome.state == "succeeded", refused):
            yield place, placed(outcome, item), item, fresh


def _offer(lines: VisibleLines, frame: int, succeeded: bool, refused: frozenset[int] | None) -> bool:
    return lines.offer(frame, succeeded=succeeded, refused=refused or (), listed=refused is not None)


def outcomes_of(dependencies: Dependencies, known: JobSnapshot, listed: Listed, frames: range) -> list[Outcome]:
    """Return the visible outcomes of these frames in the listed parts, in the order of the frames."""
    found: dict[int, Outcome] = {}
    lines = no_lines(dependencies, known)
    for name, refused in listed:
        if any(frame in frames for frame, _ in dependencies.archive.frames(known.id, name)):
            visible = visible_in(dependencies, known, name, refused, lines)
            found.update((outcome.frame, outcome) for _, outcome, _, _ in visible if outcome.frame in frames)
    return [found[frame] for frame in sorted(found)]


def visible_line(dependencies: Dependencies, known: JobSnapshot, item: int, frame: int) -> ItemLine | None:
    """Return the line of an item with the visible outcome of one of its frames, or None if there is no such outcome."""
    planned = dependencies.archive.item_of(known.id, frame)
    if planned is None or planned.item != item:
        return None
    return _line_of(dependencies, known, planned, range(frame, frame + 1))


def running_item(dependencies: Dependencies, known: JobSnapshot, item: int) -> ItemLine | None:
    """Return the line of an item with the visible outcomes of its frames so far, or None if it has none."""
    planned = dependencies.archive.item_numbered(known.id, item)
    if planned is None:
        return None
    return _line_of(dependencies, known, planned, range(planned.first, planned.first + planned.frames))


def _line_of(dependencies: Dependencies, known: JobSnapshot, planned: PlannedItem, frames: range) -> ItemLine | None:
    """Return the line of an item with the visible outcomes of these frames, or None if they have none."""
    numbers = numbers_of(dependencies, known.id, [planned]) if is_listed(known) else None
    if numbers is not None:
        own = [number if at in frames else None for at, number in enumerate(numbers[planned.item], planned.first)]
        outcomes = outcomes_of_item(dependencies, known.id, planned, own, {})
    elif is_listed(known) and planned.frames == 1:
        outcomes = outcomes_near(dependencies, known, planned.first)
    else:
        outcomes = outcomes_of(dependencies, known, listed_parts(dependencies, known), frames)
    return item_line(planned, tuple(outcomes)) if outcomes else None
