"""Who may call: a file of API keys, by their sha256."""

import hashlib
import hmac
import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt, TypeAdapter, ValidationError

from api.callers import Caller, Scope
from maskrelay.contract import keys
from maskrelay.errors import SettingsError
from maskrelay.ledger.room import Load

_log = logging.getLogger(__name__)


class Quotas(BaseModel):
    """What a tenant may have under way at most, where it differs from the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    jobs: NonNegativeInt | None = None
    frames: NonNegativeInt | None = None
    interactive: NonNegativeInt | None = None
    bytes: NonNegativeInt | None = None


class KeyEntry(BaseModel):
    """One key of the file: whose it is, what it allows, and from when until when. `admin` allows everything. `quotas`
    are the tenant's; one of its keys is enough to give them.

    A tenant may have several, so that a new one is in use before the old one ends. `name` is noted where it is noted
    who did what; without one, the first letters of the hash are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    tenant: str = Field(pattern=f"^{keys.TENANT.pattern}$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: frozenset[Scope]
    name: str | None = Field(None, pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    not_before: AwareDatetime | None = None
    not_after: AwareDatetime | None = None
    quotas: Quotas | None = None

    def counts_at(self, now: datetime) -> bool:
        begun = self.not_before is None or self.not_before <= now
        return begun and (self.not_after is None or now <= self.not_after)


class KeysFile:
    """The keys of one file, read again when it changes.

    Raises SettingsError when the file cannot be read at first; later the keys that were last good stay, with a
    warning in the log, since a half-written file must not lock everybody out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen = self._stamp()
        self._entries = self._read()

    def caller(self, key: str) -> Caller | None:
        """Whose key this is, if anybody's now. Every entry is compared, each in constant time."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        found = [entry for entry in self._current() if hmac.compare_digest(entry.sha256, digest)]
        if not found or not found[0].counts_at(datetime.now(UTC)):
            return None
        (entry,) = found
        return Caller(entry.tenant, entry.scopes, f"key:{entry.name or entry.sha256[:8]}")

    def quotas(self, tenant: str, default: Load) -> Load:
        """What the tenant may have under way: as the file says, else as `default` does."""
        given = [entry.quotas for entry in self._current() if entry.tenant == tenant and entry.quotas is not None]
        return replace(default, **given[0].model_dump(exclude_none=True)) if given else default

    def _current(self) -> list[KeyEntry]:
        with self._lock:
            try:
                stamp = self._stamp()
                if stamp != self._seen:
                    self._seen = stamp
                    self._entries = self._read()
            except SettingsError as error:
                _log.warning("the keys stay as they were: %s", error.detail)
            return self._entries

    def _stamp(self) -> tuple[int, ...]:
        try:
            facts = self._path.stat()
        except OSError as error:
            raise SettingsError(f"the file of keys cannot be read ({error.strerror})") from None
        return facts.st_mtime_ns, facts.st_size, facts.st_ino

    def _read(self) -> list[KeyEntry]:
        try:
            entries = TypeAdapter(list[KeyEntry]).validate_json(self._path.read_bytes())
        except OSError as error:
            raise SettingsError(f"the file of keys cannot be read ({error.strerror})") from None
        except ValidationError as error:
            where = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise SettingsError(f"the file of keys is not right: {where}") from None
        if len({entry.sha256 for entry in entries}) < len(entries):
            raise SettingsError("the file of keys is not right: one key stands in it twice")
        quotas = {(entry.tenant, entry.quotas) for entry in entries if entry.quotas is not None}
        if len({tenant for tenant, _ in quotas}) < len(quotas):
            raise SettingsError("the file of keys is not right: the keys of one tenant give it different quotas")
        return entries
