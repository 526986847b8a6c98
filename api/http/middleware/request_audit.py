"""Audit middleware: one entry for every response to an authenticated caller, whatever the route."""

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
#: The longest that a response is delayed until its entry is durable; after that, the entry follows later.
_PATIENCE_S = 5.0


def note(request: Request, **made: Any) -> None:
    """Add fields of `Entry` to the entry of this request."""
    request.state.made = made


class RequestAudit:
    """ASGI middleware, outside of the error handling.

    The response to a request that changed something is sent only once its entry is durable; entries of reads and
    refusals may follow seconds later.
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
    """Return the audit entry of a request, or None if it has no caller or no route.

    Text from the path is recorded only if it has the form of an id of the service, or is the name of an existing file.
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
