"""A job's items, page by page.

While the job runs, they are in order of completion. When it has ended, they are in order of submission.
"""

import re
import struct
from contextlib import closing
from dataclasses import dataclass

from pydantic import ValidationError

from api.dependencies import Dependencies, side_by_side
from api.http.pagination import cursor_of, no_cursor, places_of
from api.jobs.completed_items import completed_items
from api.jobs.lookup import JobSnapshot
from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine, flags_of
from maskrelay.contract.records.job import FlaggedItems, Result
from maskrelay.contract.records.planned_items import IgnoredFile
from maskrelay.errors import ObjectMissing
from maskrelay.storage.stored_records import lines_of, parsed, read_records

#: The three kinds of cursors: for a running job, a position in the list of parts, and for a job that has ended, a byte
#: offset in the object with its items, or a position in the list of items with a flag.
_RUNNING, _FINAL, _FLAGGED = "r", "f", "s"
_CURSORS = {
    _RUNNING: re.compile(r"[0-9]{1,9}\.[0-9]{1,9}"),
    _FINAL: re.compile("[0-9]{1,18}"),
    _FLAGGED: re.compile("[0-9]{1,9}"),
}
_OFFSET = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of items. If `next` is None, there are no more items at present, but a running job may have more later."""

    lines: tuple[ItemLine, ...]
    next: str | None


def read_page(
    dependencies: Dependencies, known: JobSnapshot, cursor: str | None, limit: int, flag: str | None = None
) -> ItemPage:
    """Return at most `limit` items after `cursor`. With `flag`, return only items with a mask that has this flag.

    If the job has ended since the cursor was made, the list starts again in its final order. An item may then be listed
    twice, but none is missed. The flagged items of a job that has ended are ordered by suspicion, highest first. Raises
    Malformed for an invalid cursor.
    """
    kind, places = places_of(cursor, _CURSORS) if cursor else (_RUNNING, ["0", "0"])
    if known.result is not None and flag is not None:
        return _flagged(dependencies, known.result, flag, int(places[0]) if kind == _FLAGGED else 0, limit)
    if flag is not None:
        page = read_page(dependencies, known, cursor, limit)
        return ItemPage(tuple(line for line in page.lines if flag in flags_of(line)), page.next)
    if known.result is not None:
        return _final(dependencies, known.result, int(places[0]) if kind == _FINAL else 0, limit)
    part, line = map(int, places) if kind == _RUNNING else (0, 0)
    completed, following = completed_items(dependencies, known, (part, line), limit)
    return ItemPage(tuple(completed), cursor_of(_RUNNING, f"{following[0]}.{following[1]}") if following else None)


def read_ignored(dependencies: Dependencies, known: JobSnapshot) -> list[IgnoredFile]:
    """Return the files that did not become items. The list is empty until the job is planned."""
    if not known.planned:
        return []
    try:
        return read_records(dependencies.storage, keys.ignored(known.id), IgnoredFile)
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


def _flagged(dependencies: Dependencies, result: Result, flag: str, first: int, limit: int) -> ItemPage:
    """Return flagged items in the order that the finish stage recorded."""
    if result.flagged is None:
        return ItemPage((), None)
    flagged = read_records(dependencies.storage, result.flagged.key, FlaggedItems)
    items = next((listed.items for listed in flagged if listed.flag == flag), ())
    lines = side_by_side(lambda item: final_line(dependencies, result, item), items[first : first + limit])
    following = cursor_of(_FLAGGED, str(first + limit)) if first + limit < len(items) else None
    return ItemPage(tuple(line for line in lines if line is not None), following)


def final_line(dependencies: Dependencies, result: Result, item: int) -> ItemLine | None:
    """Return the line of an item of a job that has ended, or None if there is no such item.

    The index object of the result gives the location of the line.
    """
    if item >= result.counts.total:
        return None
    raw = dependencies.storage.get(result.index.key, item * _OFFSET.size, 2 * _OFFSET.size)
    begin, *behind = (offset for (offset,) in _OFFSET.iter_unpack(raw))
    end = behind[0] if behind else result.items.length
    return parsed(dependencies.storage.get(result.items.key, begin, end - begin), ItemLine, result.items.key)


def _line(raw: bytes) -> ItemLine:
    try:
        return ItemLine.model_validate_json(raw)
    except ValidationError:  # the cursor points into the middle of a line
        raise no_cursor() from None
