"""The file of API keys. It contains the SHA-256 of each key, with its tenant, permissions and period of validity."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt, TypeAdapter, ValidationError

from maskrelay.contract.records import keys
from maskrelay.errors import SettingsError

Scope = Literal["submit", "read", "admin"]
SCOPES: frozenset[Scope] = frozenset(get_args(Scope))


class KeyQuotas(BaseModel):
    """The limits on what a tenant may have in progress. A quota that is None is taken from the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    jobs: NonNegativeInt | None = None
    frames: NonNegativeInt | None = None
    interactive: NonNegativeInt | None = None
    bytes: NonNegativeInt | None = None


class KeyEntry(BaseModel):
    """One key of the file: its tenant, its scopes, and the start and end of its validity.

    The scope `admin` allows everything. `quotas` apply to the whole tenant, even if only one of its keys specifies
    them. A tenant may have several keys, so that a new key can be in use before the old key expires. `name` identifies
    the key in logs and records. A key without a name is identified by the first digits of its hash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    tenant: str = Field(pattern=f"^{keys.TENANT.pattern}$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: frozenset[Scope]
    name: str | None = Field(None, pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    not_before: AwareDatetime | None = None
    not_after: AwareDatetime | None = None
    quotas: KeyQuotas | None = None

    def counts_at(self, now: datetime) -> bool:
        """Return whether the key is valid at this time."""
        begun = self.not_before is None or self.not_before <= now
        return begun and (self.not_after is None or now <= self.not_after)


def read_keys(path: Path) -> list[KeyEntry]:
    """Read all keys of the file.

    Raises SettingsError if the file cannot be read or is not valid. The error names the location of the mistake, but
    quotes no value.
    """
    try:
        entries = TypeAdapter(list[KeyEntry]).validate_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"the keys file cannot be read ({error.strerror})") from None
    except ValidationError as error:
        raise SettingsError(f"the keys file is not valid: {'; '.join(map(_said, error.errors()))}") from None
    if len({entry.sha256 for entry in entries}) < len(entries):
        raise SettingsError("the keys file is not valid: it contains a key twice")
    quotas = {(entry.tenant, entry.quotas) for entry in entries if entry.quotas is not None}
    if len({tenant for tenant, _ in quotas}) < len(quotas):
        raise SettingsError("the keys file is not valid: the keys of a tenant have different quotas")
    return entries


def _said(error: Any) -> str:
    place = ".".join(map(str, error["loc"]))
    return f"{place}: {error['msg']}" if place else str(error["msg"])
