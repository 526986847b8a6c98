"""Who may call: a file of API keys, by their sha256."""

import hashlib
import hmac
import logging
import threading
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from api.callers import Caller, Scope
from maskrelay.contract import keys
from maskrelay.errors import SettingsError

_log = logging.getLogger(__name__)


class KeyEntry(BaseModel):
    """One key of the file: whose it is and what it allows. `admin` allows everything."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    tenant: str = Field(pattern=f"^{keys.TENANT.pattern}$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: frozenset[Scope]


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
        """Whose key this is, if anybody's. Every entry is compared, each in constant time."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        found = [entry for entry in self._current() if hmac.compare_digest(entry.sha256, digest)]
        if not found:
            return None
        return Caller(found[0].tenant, found[0].scopes, f"key:{found[0].sha256[:8]}")

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
