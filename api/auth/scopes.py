"""Callers, and the check whether a caller may call a route. Nobody may call a route that is not in the table."""

from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request

from maskrelay.contract.records.api_key_file import Scope
from maskrelay.errors import ScopeMissing

#: Who may call a route: a caller with this scope, anybody (`public`), or a caller with the operators' key (`operator`).
#: If no such key is set, anybody may call a route of the operators.
Access = Scope | Literal["public", "operator"]
#: The kinds of access without an API key.
KEYLESS = frozenset({"public", "operator"})


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller, who belongs to a tenant.

    `name` identifies the key or the token's subject in logs and records, but does not contain it. The scope `admin`
    allows everything within the tenant.
    """

    tenant: str
    scopes: frozenset[Scope]
    name: str

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


async def check_scope(request: Request) -> None:
    """Raise ScopeMissing unless the caller has the route's scope. This runs before the body is read."""
    access: Access | None = request.app.state.access.get((request.method, request.scope["route"].path))
    if access in KEYLESS:
        return
    caller: Caller | None = getattr(request.state, "caller", None)
    if access is None or caller is None or not caller.may(access):
        raise ScopeMissing(f"This request needs the scope '{access or 'of this route'}'.")
