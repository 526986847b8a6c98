"""The caller of a request: its tenant and scopes."""

from dataclasses import dataclass

from maskrelay.contract.apikeys import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller of a tenant. `name` stands for the key or the token's subject where it is noted who did what; it holds
    neither. `admin` allows everything, within the tenant.
    """

    tenant: str
    scopes: frozenset[Scope]
    name: str

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes
