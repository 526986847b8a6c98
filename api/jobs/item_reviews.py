"""The reviews in a list of items: each item with the reviews that the reader may see, and the filters by reviews."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from api.dependencies import Dependencies
from api.http.json_pointer import pointer
from api.http.pagination import cursor_of, places_of
from api.jobs.item_order import flagged_numbers, lines_of_numbers, unflagged_numbers
from api.jobs.items import CURSORS, NO_FLAG, ItemPage, read_page
from api.jobs.lookup import JobSnapshot
from api.jobs.stored_reviews import names_of, read_marks, visible_readers
from api.jobs.unflagged_sample import unflagged_sample
from maskrelay.contract.records.job import Result
from maskrelay.contract.records.reviews import ReviewMark, reader_id
from maskrelay.contract.views.review_views import MarkShown
from maskrelay.errors import Malformed, NotEnded

ReviewState = Literal["accepted", "rejected", "none"]
_STATES: dict[str | None, ReviewState] = {"accept": "accepted", "reject": "rejected", None: "none"}
_PLACE = "n"
_CURSORS = {**CURSORS, _PLACE: re.compile("[0-9]{1,9}")}


def reviewed_page(
    dependencies: Dependencies,
    known: JobSnapshot,
    cursor: str | None,
    limit: int,
    *,
    reader: str,
    flag: str | None,
    review: ReviewState | None,
    sample: int | None,
) -> ItemPage:
    """Return at most `limit` items whose review by this reader has the state `review`.

    With `sample`, only items of the random sample of this size are returned. If the job has ended since the cursor was
    made, the list starts again, as that of `read_page` does. Raises NotEnded if there is no sample yet, and Malformed
    for an invalid cursor, or if `flag` and `sample` are both given.
    """
    if flag is not None and sample is not None:
        raise Malformed("The items of a sample have no flag.", pointer=pointer("query", "flag"))
    own = read_marks(dependencies, known.id).get(reader_id(reader), {}) if review is not None else {}
    if known.result is None:
        if sample is not None:
            raise NotEnded
        page = read_page(dependencies, known, cursor, limit, flag)
        return ItemPage(tuple(line for line in page.lines if _state(own.get(line.item)) == review), page.next)
    numbers = _numbers(dependencies, known.result, flag, sample)
    kind, places = places_of(cursor, _CURSORS) if cursor else (_PLACE, ["0"])
    place = int(places[0]) if kind == _PLACE else 0
    found: list[int] = []
    while place < len(numbers) and len(found) < limit:
        if review is None or _state(own.get(numbers[place])) == review:
            found.append(numbers[place])
        place += 1
    lines = lines_of_numbers(dependencies, known.result, found)
    # A place among all items stays valid when items are reviewed.
    return ItemPage(tuple(lines), cursor_of(_PLACE, str(place)) if place < len(numbers) else None)


def add_reviews(dependencies: Dependencies, job: str, reader: str, bodies: Sequence[dict[str, Any]]) -> None:
    """Add to the JSON value of each item the reader's own review, and those of others that the reader may see."""
    marks, own = read_marks(dependencies, job), reader_id(reader)
    if not marks.get(own):
        return
    names = names_of(dependencies, marks, marks)
    for body in bodies:
        item = body["item"]
        if item in marks[own]:
            body["review"] = _shown(marks[own][item], names[own])
            body["reviews"] = [_shown(marks[other][item], names[other]) for other in visible_readers(marks, own, item)]


def _numbers(dependencies: Dependencies, result: Result, flag: str | None, sample: int | None) -> Sequence[int]:
    if sample is not None:
        return unflagged_sample(dependencies, result, sample)
    if flag is None:
        return range(result.counts.total)
    return unflagged_numbers(dependencies, result) if flag == NO_FLAG else flagged_numbers(dependencies, result, flag)


def _state(mark: ReviewMark | None) -> ReviewState:
    return _STATES[mark.verdict if mark is not None else None]


def _shown(mark: ReviewMark, name: str) -> dict[str, Any]:
    shown = MarkShown(reader=name, verdict=mark.verdict, grade=mark.grade, flag=mark.flag, revision=mark.revision)
    return shown.model_dump(mode="json")
