"""The visible outcomes of a running job, read with the help of the ledger's list of parts.

For each part, the ledger lists the frames whose lines were refused, which means that they were not settled and are not
visible. For items with several frames, it also records which part contains the outcome of each frame. The cost of a
page therefore depends on the page, and not on the size of the job.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, groupby
from typing import NamedTuple

from api.dependencies import Dependencies, side_by_side
from api.jobs.lookup import JobSnapshot
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.rules.visible_line import placed

#: The largest number of parts that are read concurrently.
_PARTS_AT_ONCE = 32
#: A page ends after this many parts were read for it, even if it has fewer entries than requested or none. Otherwise, a
#: page of entries that are rare, such as failed frames, could need all parts of the job.
PARTS_OF_PAGE = 128
#: For each frame of an item, the number of the part that contains its outcome, or None if it has no outcome.
Numbers = Sequence[int | None]


class Line(NamedTuple):
    """A visible line: the number of its part, its number within the part, the outcome, and the item of its frame."""

    part: int
    place: int
    outcome: Outcome
    item: PlannedItem


class _ListedPart(NamedTuple):
    number: int
    name: str
    refused: frozenset[int]


def is_listed(known: JobSnapshot) -> bool:
    """Return whether the ledger has a list of the job's parts."""
    return known.record is not None and not known.terminal


def lines_from(
    dependencies: Dependencies, job: str, first: int, at_once: int
) -> Iterator[tuple[list[Line], int | None]]:
    """Yield the visible lines of the parts from number `first` on, as one list for each group of parts.

    With each list, the number of the next part is yielded, or None after the last part. The first group has `at_once`
    parts and the second has half as many. After that, each group has twice as many parts as the one before, up to
    _PARTS_AT_ONCE.
    """
    for size in chain([at_once], _growing(max(1, at_once // 2))):
        parts = _listed(dependencies, job, first, first + size - 1)
        first += size
        yield _read(dependencies, job, parts), first if len(parts) == size else None
        if len(parts) < size:
            return


def _growing(size: int) -> Iterator[int]:
    while True:
        yield size
        size = min(2 * size, _PARTS_AT_ONCE)


def numbers_of(dependencies: Dependencies, job: str, items: Iterable[PlannedItem]) -> dict[int, Numbers] | None:
    """Return the part numbers of each item, by the number of the item, or None if those of any item are unknown."""
    ranges = {item.item: range(item.first, item.first + item.frames) for item in items}
    found = dependencies.ledger.jobs.part_numbers(job, list(ranges.values())) if ranges else []
    known: dict[int, Numbers] = {
        item: numbers for item, numbers in zip(ranges, found, strict=True) if numbers is not None
    }
    return known if len(known) == len(ranges) else None


def outcomes_of_item(
    dependencies: Dependencies, job: str, item: PlannedItem, numbers: Numbers, read: Mapping[int, Line]
) -> list[Outcome]:
    """Return the outcomes of the item's frames, in order, without those in lost parts.

    `read` contains lines that were read before, by frame.
    """
    own = {frame: number for frame, number in enumerate(numbers, item.first) if number is not None}
    lines = {frame: read[frame] for frame in own.keys() & read.keys() if read[frame].part == own[frame]}
    missing = sorted({own[frame] for frame in own.keys() - lines.keys()})
    for _, run in groupby(enumerate(missing), key=lambda entry: entry[1] - entry[0]):
        together = [number for _, number in run]
        found = _read(dependencies, job, _listed(dependencies, job, together[0], together[-1]))
        lines |= {line.outcome.frame: line for line in found if own.get(line.outcome.frame) == line.part}
    return [lines[frame].outcome for frame in sorted(lines)]


def outcomes_near(dependencies: Dependencies, known: JobSnapshot, frame: int) -> list[Outcome]:
    """Return the outcome of a frame whose part is unknown, as a list, which is empty if the part is lost.

    Frames are claimed in order, so the part is usually near the place in the list that corresponds to the place of the
    frame among the frames with outcomes. The search begins there.
    """
    count, settled = dependencies.ledger.jobs.part_count(known.id), known.frames().succeeded + known.frames().failed
    for numbers in _outwards(frame * count // max(1, settled), count):
        for line in _read(dependencies, known.id, _listed(dependencies, known.id, numbers.start, numbers.stop - 1)):
            if line.outcome.frame == frame:
                return [line.outcome]
    return []


def _outwards(place: int, count: int) -> Iterator[range]:
    """Yield ranges that together contain the numbers below `count`, beginning with those around `place`."""
    below = above = min(place, count)
    for size in _growing(4):
        if below == 0 and above == count:
            return
        if above < count:
            yield range(above, min(above + size, count))
            above = min(above + size, count)
        if below > 0:
            yield range(max(0, below - size), below)
            below = max(0, below - size)


def _listed(dependencies: Dependencies, job: str, first: int, last: int) -> list[_ListedPart]:
    listed = dependencies.ledger.jobs.parts(job, first, last)
    return [_ListedPart(number, *part) for number, part in enumerate(listed, first)]


def _read(dependencies: Dependencies, job: str, parts: Sequence[_ListedPart]) -> list[Line]:
    """Return the visible lines of these parts. Lines whose frame is not in the plan are skipped."""
    found: list[Line] = []
    read = partial(_outcomes, dependencies, job)
    of_parts = side_by_side(read, parts) if len(parts) > 1 else map(read, parts)  # a single part needs no thread
    for part, outcomes in zip(parts, of_parts, strict=True):
        frames: set[int] = set()
        for place, outcome in enumerate(outcomes):
            if outcome is None or outcome.frame in part.refused or outcome.frame in frames:
                continue
            frames.add(outcome.frame)
            if (item := dependencies.archive.item_of(job, outcome.frame)) is not None:
                found.append(Line(part.number, place, placed(outcome, item), item))
    return found


def _outcomes(dependencies: Dependencies, job: str, part: _ListedPart) -> tuple[Outcome | None, ...]:
    return dependencies.archive.outcomes(job, part.name)
