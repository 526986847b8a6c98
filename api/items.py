"""A job's items, page by page: as they are completed while it runs, in their order once it has ended."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from pydantic import ValidationError

from api.cursors import cursor_of, no_cursor, places_of
from api.known import Known
from api.service import Service
from api.visible import listed_parts, one_frame_line, visible_in
from maskrelay.contract.jobs import Result
from maskrelay.contract.lines import ItemLine

#: Cursors into the list of parts, and into the final object by bytes.
_RUNNING, _FINAL = "r", "f"
_CURSORS = {_RUNNING: re.compile(r"[0-9]{1,9}\.[0-9]{1,9}"), _FINAL: re.compile("[0-9]{1,18}")}


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is None when there is nothing more now; a running job may have more later."""

    lines: tuple[ItemLine, ...]
    next: str | None


def read_page(service: Service, known: Known, cursor: str | None, limit: int) -> Page:
    """The items behind `cursor`, at most `limit`; raises Malformed for a cursor that is none.

    A cursor from before the end of the job begins anew in the final order: items come twice rather than not at all.
    """
    kind, places = places_of(cursor, _CURSORS) if cursor else (_RUNNING, ["0", "0"])
    if known.result is not None:
        return _final(service, known.result, int(places[0]) if kind == _FINAL else 0, limit)
    part, line = map(int, places) if kind == _RUNNING else (0, 0)
    return _completed(service, known, part, line, limit)


def _completed(service: Service, known: Known, first_part: int, first_line: int, limit: int) -> Page:
    parts = listed_parts(service, known)
    seen: set[int] = set()
    for name, refused in parts[:first_part]:
        seen |= service.archive.frames(known.id, name) - refused
    lines: list[ItemLine] = []
    for number, (name, refused) in enumerate(parts[first_part:], first_part):
        for place, outcome in visible_in(service.archive.outcomes(known.id, name), refused, seen):
            if number == first_part and place < first_line:
                continue
            if len(lines) == limit:
                return Page(tuple(lines), cursor_of(_RUNNING, f"{number}.{place}"))
            lines.append(one_frame_line(service, known, outcome))
    return Page(tuple(lines), None)


def _final(service: Service, result: Result, offset: int, limit: int) -> Page:
    """From the final object: what is read is a page, whatever the size of the job."""
    end = result.items.length
    lines: list[ItemLine] = []
    if offset > end:
        raise no_cursor()
    if offset < end:
        with closing(service.storage.stream(result.items.key, offset, end - offset)) as chunks:
            for raw in _split(chunks):
                if len(lines) == limit:
                    break
                lines.append(_line(raw))
                offset += len(raw) + 1
    return Page(tuple(lines), cursor_of(_FINAL, str(offset)) if offset < end else None)


def _line(raw: bytes) -> ItemLine:
    try:
        return ItemLine.model_validate_json(raw)
    except ValidationError:  # the cursor leads into the middle of a line
        raise no_cursor() from None


def _split(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest
