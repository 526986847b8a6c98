"""The items of a running job in the order of their completion.

An item is complete when all of its frames have outcomes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from api.dependencies import Dependencies
from api.jobs.indexed_outcomes import PARTS_OF_PAGE, Line, Numbers, is_listed, lines_from, numbers_of, outcomes_of_item
from api.jobs.lookup import JobSnapshot
from api.jobs.running_outcomes import (
    listed_parts,
    no_lines,
    outcomes_of,
    pass_over,
    visible_in,
)
from maskrelay.contract.records.item_lines import ItemLine, item_line

#: The number of lines in a full part of a bulk job, with the default settings.
_LINES_OF_PART = 64
#: The position of a line in the job's parts: the number of the part, and the number of the line in the part.
Place = tuple[int, int]
#: A page of items, and the line with which the next page begins. The line is None if there are no more items at
#: present.
Completed = tuple[list[ItemLine], Place | None]


def completed_items(dependencies: Dependencies, known: JobSnapshot, first: Place, limit: int) -> Completed:
    """Return at most `limit` items that are completed by the line `first` or by a later line."""
    found = _from_own_parts(dependencies, known.id, first, limit) if is_listed(known) else None
    return found or _from_all_parts(dependencies, known, first, limit)


def _from_own_parts(dependencies: Dependencies, job: str, first: Place, limit: int) -> Completed | None:
    """Read only the parts from `first` to the end of the page, and earlier parts with frames of the page's items.

    Return None if the part of any of these frames is unknown.
    """
    items: dict[int, ItemLine] = {}
    read: dict[int, Line] = {}
    for lines, following in lines_from(dependencies, job, first[0], at_once=1 + limit // _LINES_OF_PART):
        read |= {line.outcome.frame: line for line in lines}
        # The part numbers of the frames are read after the list of parts, so they cover every part that was read here.
        numbers = numbers_of(dependencies, job, (line.item for line in lines if line.item.frames > 1))
        if numbers is None:
            return None
        for line in _completing(lines, numbers):
            item = line.item
            if (line.part, line.place) < first or item.item in items:
                continue
            if len(items) == limit:
                return list(items.values()), (line.part, line.place)
            outcomes = [line.outcome]
            if item.frames > 1:
                outcomes = outcomes_of_item(dependencies, job, item, numbers[item.item], read)
            if len(outcomes) == item.frames:  # if not, a part is lost, and its frames will be segmented again
                items[item.item] = item_line(item, tuple(outcomes))
        if following is not None and following - first[0] >= PARTS_OF_PAGE:
            return list(items.values()), (following, 0)
    return list(items.values()), None


def _completing(lines: Sequence[Line], numbers: Mapping[int, Numbers]) -> Iterator[Line]:
    """Yield each line that completes its item. `numbers` contains the part numbers of items with several frames."""
    own = [line for line in lines if _is_own(line, numbers.get(line.item.item))]
    last = {(line.part, line.item.item): line.place for line in own}
    latest = {item: _latest(parts) for item, parts in numbers.items()}
    for line in own:
        item = line.item.item
        if latest.get(item, line.part) == line.part and last[line.part, item] == line.place:
            yield line


def _latest(numbers: Numbers) -> int | None:
    """Return the number of the last part with a frame of the item, or None if a frame of the item has no outcome."""
    known = [number for number in numbers if number is not None]
    return max(known) if len(known) == len(numbers) else None


def _is_own(line: Line, numbers: Numbers | None) -> bool:
    """Return whether the line's part is the one that contains the outcome of the frame according to the ledger."""
    return numbers is None or numbers[line.outcome.index] == line.part


def _from_all_parts(dependencies: Dependencies, known: JobSnapshot, first: Place, limit: int) -> Completed:
    """Read every part up to the end of the page.

    This is used if the ledger lists none or only some of the job's parts.
    """
    parts = listed_parts(dependencies, known)
    visible = no_lines(dependencies, known)
    done: Counter[int] = Counter()
    for name, refused in parts[: first[0]]:
        passed = (
            dependencies.archive.item_of(known.id, frame)
            for frame in pass_over(dependencies, known, name, refused, visible)
        )
        done.update(item.item for item in passed if item is not None)
    items: dict[int, ItemLine] = {}
    for number, (name, refused) in enumerate(parts[first[0] :], first[0]):
        for place, outcome, planned, fresh in visible_in(dependencies, known, name, refused, visible):
            done[planned.item] += fresh
            if (number, place) < first or done[planned.item] < planned.frames:
                continue
            if len(items) == limit and planned.item not in items:
                return list(items.values()), (number, place)
            frames = range(planned.first, planned.first + planned.frames)
            outcomes = (
                [outcome] if planned.frames == 1 else outcomes_of(dependencies, known, parts[: number + 1], frames)
            )
            items[planned.item] = item_line(planned, tuple(outcomes))
    return list(items.values()), None
