"""Whether the process lives, and whether it can do its work."""

from contextlib import suppress

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.service import Service, in_thread, service_of
from maskrelay.contract import keys
from maskrelay.errors import LedgerUnavailable, StorageError


class Readiness(BaseModel):
    """`ok` or `unavailable` for each thing that is needed."""

    ready: bool
    ledger: str
    storage: str


async def livez() -> Response:
    """The process answers."""
    return JSONResponse({"live": True})


async def readyz(request: Request) -> Response:
    """The ledger takes writes and storage answers; 503 when one of them does not."""
    seen = await in_thread(_look, service_of(request))
    return JSONResponse(seen.model_dump(), 200 if seen.ready else 503, {} if seen.ready else {"Retry-After": "5"})


def _look(service: Service) -> Readiness:
    ledger = storage = "unavailable"
    with suppress(LedgerUnavailable):
        service.ledger.scripts.check_writable()
        ledger = "ok"
    with suppress(StorageError):
        next(iter(service.storage.list(keys.LIVE)), None)
        storage = "ok"
    return Readiness(ready=ledger == storage == "ok", ledger=ledger, storage=storage)
