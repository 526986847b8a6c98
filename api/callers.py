"""The caller of a request: its tenant and scopes."""

from dataclasses import dataclass

from maskrelay.contract.apikeys import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller, who belongs to a tenant.

    `name` identifies the key or the token's subject in logs and records, and contains neither. `admin` allows
    everything within the tenant.
    """

    tenant: str
    scopes: frozenset[Scope]
    name: str

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes
