"""The handler of a store's notifications, which let a watch look at its prefix earlier.

Their content is not used, so it does no harm if notifications are lost, repeated or reordered.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.dependencies import Dependencies, dependencies_of, in_thread, tenant_of
from api.http.json_pointer import pointer
from api.submissions import request_bodies
from api.submissions.options import read_json
from api.submissions.watches import found_watch
from maskrelay.contract.views.watch_views import EventsSeen
from maskrelay.errors import Malformed

_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"


async def notify_watch(request: Request, watch: str) -> Response:
    """Let a watch look at its prefix now, because the store has a new object.

    The body may be a notification of S3, MinIO, Azure Event Grid or any other JSON. Its content is not used, except
    that Event Grid's validation of the address is answered.
    """
    dependencies, tenant = dependencies_of(request), tenant_of(request)
    body = await request_bodies.receive_json(request, dependencies.limits)
    code = await in_thread(_validation_code, body)
    await in_thread(_woken, dependencies, tenant, watch)
    shown = EventsSeen.model_validate({"validationResponse": code}).model_dump(by_alias=True, exclude_none=True)
    return JSONResponse(shown, headers={"Cache-Control": "no-store"})


def _woken(dependencies: Dependencies, tenant: str, watch_id: str) -> None:
    found_watch(dependencies, tenant, watch_id)
    dependencies.ledger.watches.wake(watch_id)


def _validation_code(body: bytes) -> str | None:
    """Return the code of Event Grid's validation, if the notification contains one."""
    if not body:
        return None
    events: Any = read_json(body, pointer())
    for event in events if isinstance(events, list) else []:
        if isinstance(event, dict) and event.get("eventType") == _VALIDATION:
            data = event.get("data")
            code = data.get("validationCode") if isinstance(data, dict) else None
            if not isinstance(code, str):
                raise Malformed("The validation has no code.", pointer=pointer("data", "validationCode"))
            return code
    return None
