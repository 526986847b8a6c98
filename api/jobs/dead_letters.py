"""A job's failed frames, page by page. For a running job, these are the frames that have failed so far."""

import re
from collections.abc import Iterator
from contextlib import closing

from api.dependencies import Dependencies
from api.http.pagination import cursor_of, no_cursor, places_of
from api.jobs.indexed_outcomes import PARTS_OF_PAGE, is_listed, lines_from
from api.jobs.lookup import JobSnapshot
from api.jobs.running_outcomes import (
    listed_parts,
    no_lines,
    pass_over,
    visible_in,
)
from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.dead_letter_records import DeadLetter
from maskrelay.contract.records.job import Result
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.contract.views.dead_letter_views import DeadLetterList, DeadLetterShown
from maskrelay.contract.views.job_views import ErrorShown
from maskrelay.storage.stored_records import lines_of, unreadable

#: The two kinds of cursors: for a running job, a position in the list of parts, and for a job that has ended, a byte
#: offset in the object that lists its failed frames.
_RUNNING, _FINAL = "q", "d"
_CURSORS = {_RUNNING: re.compile(r"[0-9]{1,9}\.[0-9]{1,9}"), _FINAL: re.compile("[0-9]{1,18}")}


def read_dead_letters(
    dependencies: Dependencies, known: JobSnapshot, cursor: str | None, limit: int, code: str | None
) -> DeadLetterList:
    """Return at most `limit` failed frames after `cursor`. With `code`, return only frames with this error code.

    If the job has ended since the cursor was made, the list starts again. A frame may then be listed twice, but none is
    missed. Raises Malformed for an invalid cursor.
    """
    kind, places = places_of(cursor, _CURSORS) if cursor else (_RUNNING, ["0", "0"])
    if known.result is not None:
        shown, following = _final(dependencies, known.result, int(places[0]) if kind == _FINAL else 0, limit, code)
        return DeadLetterList(dead_letters=shown, redriven_as=redriven_as(dependencies, known), next=following)
    part, line = map(int, places) if kind == _RUNNING else (0, 0)
    shown, following = _so_far(dependencies, known, (part, line), limit, code)
    return DeadLetterList(dead_letters=shown, redriven_as=[], next=following)


def letters_of(dependencies: Dependencies, result: Result, offset: int = 0) -> Iterator[tuple[int, DeadLetter]]:
    """Yield the failed frames of a finished job from this offset on, each with the offset of the next one."""
    if result.dead is None or offset >= result.dead.length:
        return
    of_cursor = offset > 0
    with closing(dependencies.storage.stream(result.dead.key, offset, result.dead.length - offset)) as chunks:
        for raw in lines_of(chunks):
            offset += len(raw) + 1
            try:
                letter = DeadLetter.model_validate_json(raw)
            except ValueError:  # the cursor may point into the middle of a line
                raise no_cursor() if of_cursor else unreadable(result.dead.key) from None
            yield offset, letter


def redriven_as(dependencies: Dependencies, known: JobSnapshot) -> list[str]:
    """Return the jobs that redrive items of this job.

    A redrive writes a marker with the id of the new job before that job is accepted. A marker is ignored if its job was
    never accepted.
    """
    named = (key.rsplit("/", 1)[1] for key in dependencies.storage.list(keys.redriven(known.id, "")))
    found = ((new, dependencies.archive.submission(new)) for new in named)
    return [new for new, submission in found if submission is not None and submission.redrive_of == known.id]


def _final(
    dependencies: Dependencies, result: Result, offset: int, limit: int, code: str | None
) -> tuple[list[DeadLetterShown], str | None]:
    shown: list[DeadLetterShown] = []
    for behind, letter in letters_of(dependencies, result, offset):
        if code in {None, letter.error.code}:
            if len(shown) == limit:
                return shown, cursor_of(_FINAL, str(offset))
            shown.append(_shown(letter.item, letter.custom_id, letter.index, letter.error, letter.attempts))
        offset = behind
    return shown, None


def _so_far(
    dependencies: Dependencies, known: JobSnapshot, first: tuple[int, int], limit: int, code: str | None
) -> tuple[list[DeadLetterShown], str | None]:
    """Return the failed frames of a running job, in order of completion."""
    shown: list[DeadLetterShown] = []
    found = _listed_lines if is_listed(known) else _lines_of_all_parts
    for place, outcome, item in found(dependencies, known, first):
        if item is None or outcome is None:  # enough was read for one page
            return shown, cursor_of(_RUNNING, f"{place[0]}.{place[1]}")
        if outcome.error is None or code not in {None, outcome.error.code}:
            continue
        if len(shown) == limit:
            return shown, cursor_of(_RUNNING, f"{place[0]}.{place[1]}")
        shown.append(_shown(item.item, item.custom_id, outcome.index, outcome.error, outcome.attempts))
    return shown, None


#: The position of a visible outcome, the outcome, and its item. Without outcome and item, it is the position at which
#: the next page begins.
_Visible = tuple[tuple[int, int], Outcome | None, PlannedItem | None]


def _listed_lines(dependencies: Dependencies, known: JobSnapshot, first: tuple[int, int]) -> Iterator[_Visible]:
    """Yield the visible outcomes from the position `first` on, in as many parts as one page may read."""
    seen: set[int] = set()
    for lines, following in lines_from(dependencies, known.id, first[0], at_once=2):
        for line in lines:
            if (line.part, line.place) >= first and line.outcome.frame not in seen:
                yield (line.part, line.place), line.outcome, line.item
            seen.add(line.outcome.frame)
        if following is not None and following - first[0] >= PARTS_OF_PAGE:
            yield (following, 0), None, None
            return


def _lines_of_all_parts(dependencies: Dependencies, known: JobSnapshot, first: tuple[int, int]) -> Iterator[_Visible]:
    """Yield the visible outcomes from the position `first` on, for a job whose parts the ledger does not list."""
    visible = no_lines(dependencies, known)
    for number, (name, refused) in enumerate(listed_parts(dependencies, known)):
        if number < first[0]:
            pass_over(dependencies, known, name, refused, visible)
            continue
        for line, outcome, item, _ in visible_in(dependencies, known, name, refused, visible):
            if (number, line) >= first:
                yield (number, line), outcome, item


def _shown(item: int, custom_id: str, index: int, error: Failure, attempts: int) -> DeadLetterShown:
    shown = ErrorShown(code=error.code, detail=error.detail)
    return DeadLetterShown(item=item, custom_id=custom_id, frame=index, error=shown, attempts=attempts)
