"""The request headers that the API interprets, with their validation."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from starlette.datastructures import Headers

from maskrelay.errors import Malformed, RangeNotSatisfiable

#: The pattern of an idempotency key: 1 to 255 ASCII characters, visible ones or spaces. The first and the last are
#: visible.
KEY_PATTERN = r"^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$"
_KEY = re.compile(KEY_PATTERN.strip("^$"))
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_WAIT = re.compile(r"wait\s*=\s*\"?([0-9]{1,9})\"?", re.IGNORECASE)
#: The longest wait, in seconds. Many proxies close a request after 60 s without a byte.
WAIT_MOST_S = 50
RETRY_AFTER = {"Retry-After": "1"}
PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}


def idempotency_key(headers: Headers) -> str | None:
    """Return the value of `Idempotency-Key`, without its quotes if it has any. Raises Malformed."""
    given = headers.get("idempotency-key")
    if given is None:
        return None
    plain = given.strip()
    if len(plain) >= 2 and plain[0] == plain[-1] == '"':
        plain = re.sub(r'\\(["\\])', r"\1", plain[1:-1])
    if not _KEY.fullmatch(plain):
        raise Malformed("An Idempotency-Key must have 1 to 255 visible ASCII characters.")
    return plain


def wait_asked(headers: Headers) -> int | None:
    """Return N of `Prefer: wait=N` (RFC 7240), but at most 50. Return None if there is no such preference."""
    for given in headers.getlist("prefer"):
        for preference in given.split(","):
            known = _WAIT.fullmatch(preference.split(";")[0].strip())
            if known:
                return min(int(known[1]), WAIT_MOST_S)
    return None


def none_match(headers: Headers, etag: str) -> bool:
    """Return whether the caller already has this version (`If-None-Match`, weak comparison)."""
    given = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
    return "*" in given or etag in given


def http_date(moment: datetime) -> str:
    """Return the time as an HTTP date, in whole seconds."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def not_modified(headers: Headers, etag: str, modified: datetime | None) -> bool:
    """Return whether the caller has the current version (RFC 9110): by `If-None-Match` or else `If-Modified-Since`.

    `modified` is the time of the last change, or None if it is not known. A date that cannot be read is ignored.
    """
    if "if-none-match" in headers:
        return none_match(headers, etag)
    given = _date(headers.get("if-modified-since", ""))
    return given is not None and modified is not None and modified.replace(microsecond=0) <= given


def _date(text: str) -> datetime | None:
    """Return the time of an HTTP date, or None if the text is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def wants_lines(headers: Headers) -> bool:
    """Return whether the caller accepts NDJSON."""
    return "application/x-ndjson" in headers.get("accept", "").lower()


def byte_range(headers: Headers, length: int, etag: str, modified: datetime | None = None) -> tuple[int, int] | None:
    """Return the requested byte range (RFC 9110) as offset and length, or None if the whole file must be sent.

    The whole file is sent if no range is requested, if the unit is not bytes, if there are several ranges or a
    malformed one, or if `If-Range` names another version, by its ETag or by the time of its last change (`modified`).
    Raises RangeNotSatisfiable for a range outside of the file.
    """
    versions = {None, etag} if modified is None else {None, etag, http_date(modified)}
    given = _RANGE.fullmatch(headers.get("range", "").strip())
    condition = headers.get("if-range")
    if given is None or given[1] == given[2] == "" or (condition and condition.strip()) not in versions:
        return None
    first, last = given[1], given[2]
    if first == "":
        begin, end = max(0, length - int(last)), length
    else:
        begin, end = int(first), min(length, int(last) + 1) if last else length
        if last and int(last) < int(first):
            return None
    if begin >= end:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{length}"})
    return begin, end - begin
