"""Pagination cursors. They are opaque to callers, so their content may change."""

import base64
import re
from collections.abc import Mapping

from maskrelay.errors import Malformed


def cursor_of(kind: str, place: str) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{place}".encode()).decode().rstrip("=")


def places_of(cursor: str, kinds: Mapping[str, re.Pattern[str]]) -> tuple[str, list[str]]:
    """Return the kind of a cursor and its dot-separated parts. Raises Malformed if the cursor is none of `kinds`."""
    try:
        plain = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        plain = ""
    kind, _, place = plain.partition(":")
    if kind not in kinds or not kinds[kind].fullmatch(place):
        raise no_cursor()
    return kind, place.split(".")


def no_cursor() -> Malformed:
    return Malformed("The cursor is not from this service.", pointer="#/query/cursor")


def next_link(url: str, cursor: str | None, limit: int, only: str = "") -> dict[str, str]:
    """Return the `Link` header to the next page (RFC 8288), or no header if there is no next page."""
    return {"Link": f'<{url}?{only}cursor={cursor}&limit={limit}>; rel="next"'} if cursor else {}
