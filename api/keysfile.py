"""Who may call: a file of API keys, by their sha256."""

import hashlib
import hmac
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from maskrelay.contract import keys
from maskrelay.errors import SettingsError, Unauthenticated

Scope = Literal["submit", "read", "admin"]
_log = logging.getLogger(__name__)


class KeyEntry(BaseModel):
    """One key of the file: whose it is and what it allows. `admin` allows everything."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    tenant: str = Field(pattern=f"^{keys.TENANT.pattern}$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a request comes from."""

    tenant: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes


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

    def caller(self, key: str) -> Caller:
        """Whose key this is; raises Unauthenticated. Every entry is compared, each in constant time."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        found = [entry for entry in self._current() if hmac.compare_digest(entry.sha256, digest)]
        if not found:
            raise Unauthenticated
        return Caller(found[0].tenant, found[0].scopes)

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
            return TypeAdapter(list[KeyEntry]).validate_json(self._path.read_bytes())
        except OSError as error:
            raise SettingsError(f"the file of keys cannot be read ({error.strerror})") from None
        except ValidationError as error:
            where = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise SettingsError(f"the file of keys is not right: {where}") from None
