"""The scope that each route requires. A route that is not in this table admits nobody."""

from collections.abc import Mapping

from starlette.requests import Request

from api.callers import Caller
from maskrelay.contract.apikeys import Scope
from maskrelay.errors import ScopeMissing

#: Routes without authentication; an ingress should expose only the last of them.
PUBLIC = frozenset({"/livez", "/readyz", "/metrics", "/v1/scaling", "/openapi.json"})
#: Those of them that MASKRELAY_METRICS_KEY protects.
OPERATORS = frozenset({"/metrics", "/v1/scaling"})
#: Deleting needs `admin`, so that a key that only submits, on a scanner or in a pipeline, cannot destroy results.
NEEDED: Mapping[tuple[str, str], Scope] = {
    ("POST", "/v1/jobs"): "submit",
    ("GET", "/v1/jobs"): "read",
    ("GET", "/v1/jobs/{job}"): "read",
    ("DELETE", "/v1/jobs/{job}"): "admin",
    ("POST", "/v1/jobs/{job}/cancel"): "submit",
    ("GET", "/v1/jobs/{job}/items"): "read",
    ("GET", "/v1/jobs/{job}/artifacts/{name}"): "read",
    ("GET", "/v1/jobs/{job}/dead-letters"): "read",
    ("POST", "/v1/jobs/{job}/redrive"): "submit",
    ("POST", "/v1/redrive"): "submit",
    ("GET", "/v1/jobs/{job}/deliveries"): "read",
    ("POST", "/v1/jobs/{job}/deliveries/{event}/replay"): "submit",
    ("POST", "/v1/uploads"): "submit",
    ("GET", "/v1/endpoints"): "read",
    ("GET", "/v1/prompts"): "read",
}


async def check_scope(request: Request) -> None:
    """Raise ScopeMissing unless the caller has the route's scope. Runs before any of the body is read."""
    path = request.scope["route"].path
    if path in PUBLIC:
        return
    needed = NEEDED.get((request.method, path))
    caller: Caller = request.state.caller
    if needed is None or not caller.may(needed):
        raise ScopeMissing(f"This request needs the scope '{needed or 'of this route'}'.")
