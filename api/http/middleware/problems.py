"""Middleware that turns errors into problem details (RFC 9457).

Only this module assigns HTTP status codes to errors.
"""

import logging
import re
import secrets
import traceback
from collections.abc import Callable

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.json_pointer import pointer
from maskrelay import errors

MEDIA_TYPE = "application/problem+json"
#: The status of each class of errors. For other classes, the status of the nearest listed ancestor is used.
_STATUS: dict[type[Exception], int] = {
    errors.Malformed: 400,
    errors.Unauthenticated: 401,
    errors.ScopeMissing: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.BodyTooLarge: 413,
    errors.EncodingUnsupported: 415,
    errors.RangeNotSatisfiable: 416,
    errors.QuotaReached: 429,
    errors.Refused: 422,
    errors.StorageUnavailable: 503,
    errors.LedgerUnavailable: 503,
    errors.IssuerUnavailable: 503,
    errors.MaskrelayError: 500,
}
#: The errors for statuses that the framework itself raises.
_OF_STATUS: dict[int, type[errors.RequestError]] = {404: errors.NotFound, 405: errors.MethodNotAllowed}
#: The seconds after which the same request may succeed, by status.
_RETRY_AFTER = {409: 1, 429: 10, 503: 5}
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_log = logging.getLogger(__name__)


class ProblemError(BaseModel):
    pointer: str = Field(
        description="A JSON pointer into the body, as a URI fragment. Form fields are named like members."
    )
    detail: str


class Problem(BaseModel):
    """Why a request failed. `code` is stable; the page of errors lists every code."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    retryable: bool
    retry_after_s: int | None = None
    errors: list[ProblemError] = []
    trace_id: str


class Problems:
    """ASGI middleware that turns errors into problem details. The text of an unexpected error is not shown."""

    def __init__(
        self, app: ASGIApp, store_failed: Callable[[errors.StorageUnavailable], None] = lambda _: None
    ) -> None:
        self._app = app
        self._store_failed = store_failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _begin_trace(scope)
        started = False

        async def answering(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, answering)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the server's own handler would reveal too much
            _tell(error, scope["state"]["trace_id"])
            if isinstance(error, errors.StorageUnavailable):
                self._store_failed(error)
            if started:  # the response has begun: close the connection, so the body does not look complete
                raise errors.MaskrelayError from None
            await problem(error, scope)(scope, receive, send)


def problem(error: Exception, scope: Scope) -> Response:
    """Return the response for an error. An error that is not a MaskrelayError becomes `internal`."""
    if not isinstance(error, errors.MaskrelayError):
        error = errors.MaskrelayError("Something went wrong inside the service.")
    status = status_of(type(error))
    retry_after = _RETRY_AFTER.get(status) if error.retryable else None
    body = Problem(
        type=f"urn:maskrelay:error:{error.code}",
        title=error.message(),
        status=status,
        detail=error.message() if status >= 500 else error.detail,
        instance=scope.get("raw_path", b"").decode("ascii", "replace"),
        code=error.code,
        retryable=error.retryable,
        retry_after_s=retry_after,
        errors=_places(error),
        trace_id=scope["state"]["trace_id"],
    )
    headers = {"Cache-Control": "no-store"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="maskrelay"'
    headers.update(error.headers if isinstance(error, errors.RequestError) else {})
    return Response(body.model_dump_json(exclude_none=True), status, headers, MEDIA_TYPE)


def status_of(kind: type[errors.MaskrelayError]) -> int:
    """Return the HTTP status for this class of errors."""
    return next(_STATUS[parent] for parent in kind.__mro__ if parent in _STATUS)


def framework_problem(request: Request, error: Exception) -> Response:
    """Handle the framework's own errors: an unknown path, a wrong method, or an invalid query parameter."""
    if isinstance(error, RequestValidationError):
        places = [(pointer(*place["loc"]), str(place["msg"])) for place in error.errors()]
        return problem(errors.Malformed("A parameter cannot be read.", places=places), request.scope)
    assert isinstance(error, HTTPException)
    kind = _OF_STATUS.get(error.status_code, errors.Malformed)
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else dict(error.headers or {})
    return problem(kind(headers=headers), request.scope)


def _allowed(request: Request) -> str:
    """Return every method of the path. The framework itself lists only the methods of one route."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in routes for method in route.methods or ()}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _places(error: errors.MaskrelayError) -> list[ProblemError]:
    if not isinstance(error, errors.RequestError):
        return []
    places = [*error.places, *([(error.pointer, error.detail)] if error.pointer is not None else [])]
    return [ProblemError(pointer=place, detail=detail) for place, detail in places]


def _begin_trace(scope: Scope) -> None:
    """Set the trace of this request: the one in its `traceparent` header if that is well-formed, otherwise a new id."""
    given = next((value for name, value in scope["headers"] if name == b"traceparent"), b"").decode("latin-1")
    known = _TRACEPARENT.fullmatch(given)
    state = scope.setdefault("state", {})
    state["traceparent"] = given if known else None
    state["trace_id"] = known[1] if known else secrets.token_hex(16)


def _tell(error: Exception, trace_id: str) -> None:
    """Log the type and the location of an unexpected error, but not its message, which may contain private data."""
    if not isinstance(error, errors.MaskrelayError):
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.error("unexpected %s (trace %s)\n%s", type(error).__name__, trace_id, where, extra={"trace_id": trace_id})
