"""Audit middleware, which writes one entry for every authenticated request to a known route."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.scopes import Caller
from maskrelay.contract.records import keys
from maskrelay.contract.records.audit_entries import AuditEntry
from maskrelay.storage.audit_log import AuditLog

_READING = frozenset({"GET", "HEAD"})
#: The longest time, in seconds, for which a response waits until its audit entry is durable. After that, it is sent
#: anyway.
_PATIENCE_S = 5.0


def note(request: Request, **made: Any) -> None:
    """Add fields of `AuditEntry` to the entry of this request."""
    request.state.made = getattr(request.state, "made", {}) | made


class RequestAudit:
    """ASGI middleware around the error handling.

    The response to a request that changed something is sent when the entry of the request is durable, or after
    _PATIENCE_S. Entries about reads and errors become durable a few seconds later.
    """

    def __init__(self, app: ASGIApp, audit: AuditLog) -> None:
        self._app = app
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._tell(scope, message["status"])
            await send(message)

        await self._app(scope, receive, answering if scope["type"] == "http" else send)

    async def _tell(self, scope: Scope, status: int) -> None:
        entry = entry_of(scope, status, datetime.now(UTC))
        if entry is None:
            return
        if scope["method"] in _READING or status >= 400:
            self._audit.write(entry)
            return
        await asyncio.wait([asyncio.wrap_future(self._audit.write_now(entry))], timeout=_PATIENCE_S)


def entry_of(scope: Scope, status: int, at: datetime) -> AuditEntry | None:
    """Return the audit entry of a request, or None if the request has no caller or no route.

    The path contains text that the caller chose. A segment of it is recorded only if it has the form of an id of this
    service, or if it is the name of an existing artifact.
    """
    caller: Caller | None = scope.get("state", {}).get("caller")
    route = scope.get("route")
    if caller is None or route is None:
        return None
    given = scope.get("path_params", {})
    job, event = str(given.get("job", "")), str(given.get("event", ""))
    fields: dict[str, Any] = {
        "job": job if keys.ID.fullmatch(job) else None,
        "event": event if keys.EVENT.fullmatch(event) else None,
        "artifact": given.get("name") if status < 400 else None,
        **scope["state"].get("made", {}),
    }
    did = f"{scope['method']} {route.path}"
    return AuditEntry(at=at, did=did, tenant=caller.tenant, by=caller.name, status=status, **fields)
