"""What an endpoint's HTTP response means, as a table of statuses. Pure."""

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

#: The longest `Retry-After` that is honoured, in seconds.
LONGEST_RETRY_AFTER_S = 300.0
_INNER_STATUS = "ms-azureml-model-error-statuscode"
_RUN_FAILED = "x-ms-run-function-failed"
_RATE = re.compile(rb"rate[ -]?limit", re.IGNORECASE)


class Meaning(NamedTuple):
    """One row of the table."""

    error: type[EndpointError]
    #: A word for metrics.
    kind: str
    detail: str
    #: The container may not have stopped.
    still_working: bool = False


_PENDING = Meaning(EndpointThrottled, "pending", "the endpoint has too many requests pending")
_LIMITED = Meaning(EndpointThrottled, "rate", "the endpoint is asked more often than it allows")
_TOO_LARGE = Meaning(RequestTooLarge, "too_large", "the endpoint refuses the request as too large")
_FAILED = Meaning(ScoringFailed, "model_error", "the model failed on the request")
_REFUSED = Meaning(ScoringFailed, "refused", "the endpoint refuses the request")
_BROKEN = Meaning(EndpointUnavailable, "server_error", "the endpoint has an internal error")
_AWAY = Meaning(EndpointUnavailable, "unavailable", "the endpoint is unavailable")
PROXY_AUTH = Meaning(ProxyDenied, "proxy_auth", "the proxy refuses its user and password, or is given none")
_NOT_OURS = "what answers at the scoring URI is no scoring endpoint"

_BY_STATUS: dict[int, Meaning] = {
    401: Meaning(EndpointDenied, "unauthorized", "the endpoint says its key is wrong or has expired"),
    403: Meaning(EndpointDenied, "forbidden", "the endpoint's key does not permit scoring"),
    404: Meaning(EndpointUnavailable, "no_deployment", "no deployment of the endpoint takes traffic"),
    # the same for every frame, so no frame is at fault: the URL or our own headers are wrong
    405: Meaning(EndpointUnavailable, "misconfigured", _NOT_OURS),
    407: PROXY_AUTH,
    408: Meaning(EndpointTimeout, "request_timeout", "the deployment's request timeout passed", True),
    413: _TOO_LARGE,
    431: Meaning(EndpointUnavailable, "misconfigured", "the endpoint refuses the request's headers"),
    502: Meaning(EndpointUnavailable, "bad_gateway", "the endpoint's gateway lost its container"),
    503: _AWAY,
    504: Meaning(EndpointUnavailable, "gateway_timeout", "the endpoint's gateway waited in vain", True),
}
#: The container's own statuses within a 424 that are not the request's fault. Every other status is a failure.
_BY_INNER_STATUS: dict[int, Meaning] = {413: _TOO_LARGE, 429: _PENDING, 502: _AWAY, 503: _AWAY, 504: _AWAY}
_EMPTY = Meaning(EndpointUnavailable, "empty", "the answer is empty")
_PAGE = Meaning(EndpointUnavailable, "html", "the answer is a web page")
CUT = Meaning(EndpointUnavailable, "truncated", "the answer ends early")


def classify(
    status: int, headers: Mapping[str, str], body: bytes | bytearray, *, now: datetime | None = None
) -> EndpointError | None:
    """Return the error that a response stands for; None if it is to be parsed.

    The beginning of an error's `body` is enough, and nothing of it is ever quoted, since it can echo the input. `now`
    is used for a `Retry-After` date if the response has no `Date`. Every error has `status`, `kind`,
    `retry_after_s` (0 to 300, or None) and `still_working`.

    Source: the gateway's documented statuses, and the serving stack's responses as probed.
    """
    named = {name.lower(): value for name, value in headers.items()}
    meaning = _of_body(named, body) if status == 200 else _of_status(status, named, body)
    if meaning is None:
        return None
    return failure(meaning, status=status, retry_after_s=_retry_after_s(named, now))


def failure(meaning: Meaning, *, status: int | None = None, retry_after_s: float | None = None) -> EndpointError:
    """Return the error of a row of the table, with what every endpoint error has."""
    return meaning.error(
        f"{meaning.detail} ({status})" if status else meaning.detail,
        status=status,
        kind=meaning.kind,
        retry_after_s=retry_after_s,
        still_working=meaning.still_working,
    )


def _of_status(status: int, headers: dict[str, str], body: bytes | bytearray) -> Meaning:
    if status == 424:
        inner = headers.get(_INNER_STATUS, "").strip()
        return _BY_INNER_STATUS.get(int(inner) if inner.isdecimal() and len(inner) < 4 else 0, _FAILED)
    if status == 429:
        return _LIMITED if _RATE.search(body[:2048]) else _PENDING
    if status == 500:  # a bare container marks the model's own failures, and the gateway does not
        return _FAILED if headers.get(_RUN_FAILED, "").lower() == "true" else _BROKEN
    return _BY_STATUS.get(status) or _unlisted(status)


def _unlisted(status: int) -> Meaning:
    """A 4xx is caused by the request, so a frame may fail with it. Any other status comes from something in front."""
    if 400 <= status < 500:
        return _REFUSED
    if status >= 500:
        return _BROKEN
    return Meaning(EndpointUnavailable, "redirect" if 300 <= status < 400 else "not_scoring", _NOT_OURS)


def _of_body(headers: dict[str, str], body: bytes | bytearray) -> Meaning | None:
    """Detect a 200 that is not the container's complete answer. The parser detects all other defects."""
    first = body[:512].lstrip()[:1]
    if not first:
        return _EMPTY
    if first == b"[":
        last = body[-512:].rstrip() or body.rstrip()  # stripping the whole body would copy megabytes
        return None if last.endswith(b"]") else CUT
    page = first == b"<" or "html" in headers.get("content-type", "").lower()
    return _PAGE if page else None


def _retry_after_s(headers: dict[str, str], now: datetime | None) -> float | None:
    """Return `Retry-After` in seconds, given as a number or a date.

    Returns None if it is absent, unreadable, or a date without a reference.
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
