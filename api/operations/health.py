"""The liveness and readiness of the process."""

from contextlib import suppress

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.dependencies import Dependencies, dependencies_of, in_thread
from maskrelay.errors import LedgerFull, LedgerUnavailable, StorageError


class Readiness(BaseModel):
    """Whether the service can work.

    `ledger` and `storage` are `ok` or `unavailable`. `ledger` can also be `full`. In this case, no new jobs are
    accepted, but everything else works.
    """

    ready: bool
    ledger: str
    storage: str


async def livez() -> Response:
    """Respond as long as the process runs."""
    return JSONResponse({"live": True})


async def readyz(request: Request) -> Response:
    """Check that the ledger (Redis) and the storage respond and accept writes.

    If one of them does not, return 503. If the ledger is nearly full, the service is still ready, because accepted jobs
    must be completed.
    """
    seen = await in_thread(_check, dependencies_of(request))
    return JSONResponse(seen.model_dump(), 200 if seen.ready else 503, {} if seen.ready else {"Retry-After": "5"})


def _check(dependencies: Dependencies) -> Readiness:
    ledger = storage = "unavailable"
    with suppress(LedgerUnavailable, StorageError):
        dependencies.ledger.scripts.check_writable()
        dependencies.check_database()
        ledger = _check_ledger(dependencies)
    with suppress(StorageError):
        dependencies.health.check()
        storage = "ok"
    return Readiness(ready=ledger != "unavailable" and storage == "ok", ledger=ledger, storage=storage)


def _check_ledger(dependencies: Dependencies) -> str:
    try:
        dependencies.ledger.quotas.check_memory()
    except LedgerFull:
        return "full"
    return "ok"
