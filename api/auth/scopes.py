"""Callers, their scopes, and the scope that each route needs. A route that is not in the table admits nobody."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from maskrelay.contract.records.api_key_file import Scope
from maskrelay.errors import ScopeMissing

#: The routes without an API key. An ingress should make only `/openapi.json` public.
PUBLIC = frozenset({"/livez", "/readyz", "/metrics", "/v1/scaling", "/openapi.json"})
#: The routes that MASKRELAY_METRICS_KEY protects if it is set.
OPERATORS = frozenset({"/metrics", "/v1/scaling"})
#: Deleting needs `admin`, so that a key that can only submit, for example on a scanner, cannot destroy results.
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


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller, who belongs to a tenant.

    `name` identifies the key or the token's subject in logs and records, but does not contain it. The scope `admin`
    allows everything within the tenant.
    """

    tenant: str
    scopes: frozenset[Scope]
    name: str

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes


async def check_scope(request: Request) -> None:
    """Raise ScopeMissing unless the caller has the route's scope. This runs before the body is read."""
    path = request.scope["route"].path
    if path in PUBLIC:
        return
    needed = NEEDED.get((request.method, path))
    caller: Caller = request.state.caller
    if needed is None or not caller.may(needed):
        raise ScopeMissing(f"This request needs the scope '{needed or 'of this route'}'.")
