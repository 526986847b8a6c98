"""A job's items, page by page.

While the job runs, they are in order of completion. When it has ended, they are in order of submission.
"""

import re
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice

from pydantic import ValidationError

from api.dependencies import Dependencies
from api.http.pagination import cursor_of, no_cursor, places_of
from api.jobs.completed_items import completed_items
from api.jobs.item_order import flagged_numbers, lines_of_numbers, suspicious_first, unflagged_numbers
from api.jobs.lookup import JobSnapshot
from api.jobs.running_outcomes import running_item
from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine, flags_of
from maskrelay.contract.records.job import ANY_FLAG, Result
from maskrelay.contract.records.planned_items import IgnoredFile
from maskrelay.contract.views.job_views import GridShown
from maskrelay.errors import NotEnded, NotFound, ObjectMissing
from maskrelay.storage.stored_records import lines_of, read_records

#: The three kinds of cursors: for a running job, a position in the list of parts, and for a job that has ended, a byte
#: offset in the object with its items, or a position in the list of items with a flag.
_RUNNING, _FINAL, _FLAGGED = "r", "f", "s"
CURSORS = {
    _RUNNING: re.compile(r"[0-9]{1,9}\.[0-9]{1,9}"),
    _FINAL: re.compile("[0-9]{1,18}"),
    _FLAGGED: re.compile("[0-9]{1,9}"),
}
#: The value of the filter `flag` for items without a flag.
NO_FLAG = "none"
#: The number of ignored files of a run that are listed.
_MOST_IGNORED = 1000
#: The largest size, in bytes, of the records of items that are read for the response to a submission.
_MOST_AT_ONCE = 64 << 10


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of items. If `next` is None, there are no more items at present, but a running job may have more later."""

    lines: tuple[ItemLine, ...]
    next: str | None


def read_page(
    dependencies: Dependencies, known: JobSnapshot, cursor: str | None, limit: int, flag: str | None = None
) -> ItemPage:
    """Return at most `limit` items after `cursor`. With `flag`, return only items with a mask that has this flag.

    The flag "any" means every item with a flag, and "none" every item without one. If the job has ended since the
    cursor was made, the list starts again in its final order. An item may then be listed twice, but none is missed.
    The flagged items of a job that has ended are ordered by suspicion, highest first. Raises Malformed for an invalid
    cursor.
    """
    kind, places = places_of(cursor, CURSORS) if cursor else (_RUNNING, ["0", "0"])
    if known.result is not None and flag is not None:
        return _selected(dependencies, known.result, flag, int(places[0]) if kind == _FLAGGED else 0, limit)
    if flag is not None:
        page = read_page(dependencies, known, cursor, limit)
        return ItemPage(tuple(line for line in page.lines if _has(line, flag)), page.next)
    if known.result is not None:
        return _final(dependencies, known.result, int(places[0]) if kind == _FINAL else 0, limit)
    part, line = map(int, places) if kind == _RUNNING else (0, 0)
    completed, following = completed_items(dependencies, known, (part, line), limit)
    return ItemPage(tuple(completed), cursor_of(_RUNNING, f"{following[0]}.{following[1]}") if following else None)


def read_from(
    dependencies: Dependencies, known: JobSnapshot, offset: int, limit: int, *, by_suspicion: bool
) -> ItemPage:
    """Return at most `limit` items of a job that has ended, from the place `offset` on. Raises NotEnded.

    The items are in the order of the submission or, with `by_suspicion`, the flagged items come first, the most
    suspicious one at the top.
    """
    if known.result is None:
        raise NotEnded
    total = known.result.counts.total
    order = suspicious_first(dependencies, known.result) if by_suspicion else range(total)
    lines = lines_of_numbers(dependencies, known.result, order[offset : offset + limit])
    return ItemPage(tuple(lines), None)


def read_item(dependencies: Dependencies, known: JobSnapshot, item: int) -> ItemLine:
    """Return one item by its number. While the job runs, it may lack frames. Raises NotFound if it has no outcome."""
    if known.result is not None:
        if item >= known.result.counts.total:
            raise NotFound
        return lines_of_numbers(dependencies, known.result, [item])[0]
    line = running_item(dependencies, known, item)
    if line is None:
        raise NotFound
    return line


def read_grid(dependencies: Dependencies, known: JobSnapshot, line: ItemLine) -> GridShown | None:
    """Return the grid of an item's label volume, or None if it has none. The grid is in the plan of the job."""
    if "nifti" not in line.files:
        return None
    planned = dependencies.archive.item_of(known.id, line.outcomes[0].frame)
    grid = planned.grid if planned is not None else None
    return GridShown.model_validate(grid.model_dump(include=set(GridShown.model_fields))) if grid is not None else None


def _has(line: ItemLine, flag: str) -> bool:
    flags = flags_of(line)
    return bool(flags) if flag == ANY_FLAG else not flags if flag == NO_FLAG else flag in flags


def read_ignored(dependencies: Dependencies, known: JobSnapshot) -> list[IgnoredFile]:
    """Return the files that did not become items. The list is empty until the job is planned.

    Of a run, only the first _MOST_IGNORED files are returned.
    """
    storage = dependencies.storage
    if not known.planned:
        return []
    if known.submission.run is not None:
        lists = (read_records(storage, key, IgnoredFile) for key in storage.list(keys.ignored_lists(known.id)))
        return list(islice(chain.from_iterable(lists), _MOST_IGNORED))
    try:
        return read_records(storage, keys.ignored(known.id), IgnoredFile)
    except ObjectMissing:
        return []


def _final(dependencies: Dependencies, result: Result, offset: int, limit: int) -> ItemPage:
    """Return items of a job that has ended. Of the object with all items, only the lines of this page are read."""
    end = result.items.length
    lines: list[ItemLine] = []
    if offset > end:
        raise no_cursor()
    if offset < end:
        with closing(dependencies.storage.stream(result.items.key, offset, end - offset)) as chunks:
            for raw in lines_of(chunks):
                if len(lines) == limit:
                    break
                lines.append(_line(raw))
                offset += len(raw) + 1
    return ItemPage(tuple(lines), cursor_of(_FINAL, str(offset)) if offset < end else None)


def _selected(dependencies: Dependencies, result: Result, flag: str, first: int, limit: int) -> ItemPage:
    """Return items with this flag in the order that the finish stage recorded, or the items without a flag."""
    if flag == NO_FLAG:
        numbers = unflagged_numbers(dependencies, result)
    else:
        numbers = flagged_numbers(dependencies, result, flag)
    lines = lines_of_numbers(dependencies, result, numbers[first : first + limit])
    following = cursor_of(_FLAGGED, str(first + limit)) if first + limit < len(numbers) else None
    return ItemPage(tuple(lines), following)


def short_job_items(dependencies: Dependencies, known: JobSnapshot) -> tuple[ItemLine, ...] | None:
    """Return all items of a job that has a result, or None if it has none or if their records are long."""
    if known.result is None or known.result.items.length > _MOST_AT_ONCE:
        return None
    return _final(dependencies, known.result, 0, known.result.counts.total).lines


def final_line(dependencies: Dependencies, result: Result, item: int) -> ItemLine | None:
    """Return the line of an item of a job that has ended, or None if there is no such item."""
    if item >= result.counts.total:
        return None
    return lines_of_numbers(dependencies, result, [item])[0]


def _line(raw: bytes) -> ItemLine:
    try:
        return ItemLine.model_validate_json(raw)
    except ValidationError:  # the cursor points into the middle of a line
        raise no_cursor() from None
