"""The classification of an endpoint's HTTP responses by their statuses."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from maskrelay.errors import (
    EndpointDenied,
    EndpointError,
    EndpointThrottled,
    EndpointTimeout,
    EndpointUnavailable,
    ProxyDenied,
    RequestTooLarge,
    ScoringFailed,
)

#: The longest pause that a response can request by `Retry-After`, in seconds. A longer pause is shortened to it.
LONGEST_RETRY_AFTER_S = 300.0
_INNER_STATUS = "ms-azureml-model-error-statuscode"
_RUN_FAILED = "x-ms-run-function-failed"
_RATE = re.compile(rb"rate[ -]?limit", re.IGNORECASE)


class Meaning(NamedTuple):
    """The error that a status means."""

    error: type[EndpointError]
    #: The name of the error in metrics.
    kind: str
    detail: str
    #: Whether the container may still be processing the request.
    still_working: bool = False


_PENDING = Meaning(EndpointThrottled, "pending", "the endpoint has too many pending requests")
_LIMITED = Meaning(EndpointThrottled, "rate", "the endpoint gets more requests per second than it allows")
_TOO_LARGE = Meaning(RequestTooLarge, "too_large", "the endpoint refuses the request as too large")
_FAILED = Meaning(ScoringFailed, "model_error", "the model failed on the request")
_REFUSED = Meaning(ScoringFailed, "refused", "the endpoint refuses the request")
_BROKEN = Meaning(EndpointUnavailable, "server_error", "the endpoint has an internal error")
_AWAY = Meaning(EndpointUnavailable, "unavailable", "the endpoint is unavailable")
PROXY_AUTH = Meaning(ProxyDenied, "proxy_auth", "the proxy refuses the user name and password, or none are set")
_NOT_OURS = "the server at the scoring URI is not a scoring endpoint"

_BY_STATUS: dict[int, Meaning] = {
    401: Meaning(EndpointDenied, "unauthorized", "the endpoint reports that its key is wrong or has expired"),
    403: Meaning(EndpointDenied, "forbidden", "the endpoint's key does not permit scoring"),
    404: Meaning(EndpointUnavailable, "no_deployment", "no deployment of the endpoint has traffic"),
    # The statuses 405 and 431 do not depend on the frames. They mean that the URL, or a header that this software
    # sends, is wrong.
    405: Meaning(EndpointUnavailable, "misconfigured", _NOT_OURS),
    407: PROXY_AUTH,
    408: Meaning(EndpointTimeout, "request_timeout", "the deployment's request timeout was exceeded", True),
    413: _TOO_LARGE,
    431: Meaning(EndpointUnavailable, "misconfigured", "the endpoint refuses the request's headers"),
    502: Meaning(EndpointUnavailable, "bad_gateway", "the endpoint's gateway lost its container"),
    503: _AWAY,
    504: Meaning(EndpointUnavailable, "gateway_timeout", "the endpoint's gateway got no answer in time", True),
}
#: A response with status 424 contains the container's status in a header. These are the container's statuses with a
#: special meaning. All others mean that the model failed on the request.
_BY_INNER_STATUS: dict[int, Meaning] = {413: _TOO_LARGE, 429: _PENDING, 502: _AWAY, 503: _AWAY, 504: _AWAY}
#: The statuses by which a deployment refuses a wire format that it does not know.
_FORM_REFUSED = frozenset({400, 405, 406, 411, 415, 422, 501})
_EMPTY = Meaning(EndpointUnavailable, "empty", "the answer is empty")
_PAGE = Meaning(EndpointUnavailable, "html", "the answer is a web page")
CUT = Meaning(EndpointUnavailable, "truncated", "the answer ends early")


def classify(
    status: int, headers: Mapping[str, str], body: bytes | bytearray, *, now: datetime | None = None
) -> EndpointError | None:
    """Return the error that a response means, or None if the body of the response is to be parsed.

    If the status is not 200, `body` may be only the beginning of the body. The error quotes nothing of the body,
    because the body can repeat the input. If `Retry-After` is a date and the response has no `Date`, the pause is the
    time from `now` to the date in `Retry-After`. Every error has `status`, `kind`, `retry_after_s` (0 to 300, or None)
    and `still_working`.

    Sources: the documented statuses of the gateway, and observed responses of the real serving software.
    """
    named = {name.lower(): value for name, value in headers.items()}
    meaning = _of_body(named, body) if status == 200 else _of_status(status, named, body)
    if meaning is None:
        return None
    error = failure(meaning, status=status, retry_after_s=_retry_after_s(named, now))
    if status == 424:
        error.inner_status = _inner_status(named)
    return error


def refuses_the_form(error: EndpointError) -> bool:
    """Return whether the status of the error is one by which a deployment refuses an unknown wire format."""
    return (error.inner_status or error.status) in _FORM_REFUSED


def failure(meaning: Meaning, *, status: int | None = None, retry_after_s: float | None = None) -> EndpointError:
    """Create the error of this meaning, with the attributes that every endpoint error has."""
    return meaning.error(
        f"{meaning.detail} ({status})" if status else meaning.detail,
        status=status,
        kind=meaning.kind,
        retry_after_s=retry_after_s,
        still_working=meaning.still_working,
    )


def _of_status(status: int, headers: dict[str, str], body: bytes | bytearray) -> Meaning:
    if status == 424:
        return _BY_INNER_STATUS.get(_inner_status(headers), _FAILED)
    if status == 429:
        return _LIMITED if _RATE.search(body[:2048]) else _PENDING
    if status == 500:  # only the container sets this header, and it does so if the model failed
        return _FAILED if headers.get(_RUN_FAILED, "").lower() == "true" else _BROKEN
    return _BY_STATUS.get(status) or _unlisted(status)


def _inner_status(headers: dict[str, str]) -> int:
    inner = headers.get(_INNER_STATUS, "").strip()
    return int(inner) if inner.isdecimal() and len(inner) < 4 else 0


def _unlisted(status: int) -> Meaning:
    """Return the meaning of a status that is not in the table.

    A status 4xx is caused by the request, so it counts as a failure of the frame. A status of 500 or more means that
    the endpoint has an internal error. Any other status means that the server is not a scoring endpoint.
    """
    if 400 <= status < 500:
        return _REFUSED
    if status >= 500:
        return _BROKEN
    return Meaning(EndpointUnavailable, "redirect" if 300 <= status < 400 else "not_scoring", _NOT_OURS)


def _of_body(headers: dict[str, str], body: bytes | bytearray) -> Meaning | None:
    """Return the meaning of a body with status 200 that is empty, cut off or a web page.

    Return None for any other body. The parser detects all other defects.
    """
    first = body[:512].lstrip()[:1]
    if not first:
        return _EMPTY
    if first == b"[":
        last = body[-512:].rstrip() or body.rstrip()  # stripping the whole body would copy megabytes
        return None if last.endswith(b"]") else CUT
    page = first == b"<" or "html" in headers.get("content-type", "").lower()
    return _PAGE if page else None


def _retry_after_s(headers: dict[str, str], now: datetime | None) -> float | None:
    """Return the value of `Retry-After` in seconds. The header contains a number or a date.

    Return None if the header is missing or invalid, or if it contains a date and the current time is unknown.
    """
    given = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", given, re.ASCII):
        return min(float(given), LONGEST_RETRY_AFTER_S)
    until, since = _date(given), _date(headers.get("date", "")) or now
    if until is None or since is None:
        return None
    return min(max((until - since).total_seconds(), 0.0), LONGEST_RETRY_AFTER_S)


def _date(given: str) -> datetime | None:
    try:
        read = parsedate_to_datetime(given)
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
