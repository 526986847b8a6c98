"""Callers, and the check whether a caller may call a route. Routes that are not in the route table cannot be called."""

from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request

from maskrelay.contract.records.api_key_file import Scope
from maskrelay.errors import ScopeMissing

#: The access that a route requires. It is a scope, `public` for everyone, or `operator` for callers with the
#: operators' key. If no such key is set, everyone may call an `operator` route.
Access = Scope | Literal["public", "operator"]
#: The kinds of access that need no API key.
KEYLESS = frozenset({"public", "operator"})


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller, who belongs to a tenant.

    `name` identifies the key or the token's subject in logs and records, but contains neither of them. The scope
    `admin` allows everything within the tenant.
    """

    tenant: str
    scopes: frozenset[Scope]
    name: str

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


async def check_scope(request: Request) -> None:
    """Raise ScopeMissing if the caller lacks the route's scope. This check is made before the body is read."""
    access: Access | None = request.app.state.access.get((request.method, request.scope["route"].path))
    if access in KEYLESS:
        return
    caller: Caller | None = getattr(request.state, "caller", None)
    if access is None or caller is None or not caller.may(access):
        raise ScopeMissing(f"This request needs the scope '{access or 'of this route'}'.")
