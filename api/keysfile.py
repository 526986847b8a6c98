"""Authenticate API keys against a file that holds their SHA-256."""

import hashlib
import hmac
import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from api.callers import Caller
from maskrelay.contract.apikeys import KeyEntry, read_keys, unreadable
from maskrelay.errors import SettingsError
from maskrelay.ledger.room import Load

_log = logging.getLogger(__name__)


class KeysFile:
    """The keys of one file, read again when it changes.

    Raises SettingsError when the file cannot be read at first; later the keys that were last good stay, with a
    warning in the log, since a half-written file must not lock everybody out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen = self._stamp()
        self._entries = read_keys(self._path)

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
                    self._entries = read_keys(self._path)
            except SettingsError as error:
                _log.warning("the previous keys stay in use: %s", error.detail)
            return self._entries

    def _stamp(self) -> tuple[int, ...]:
        try:
            facts = self._path.stat()
        except OSError as error:
            raise unreadable(error) from None
        return facts.st_mtime_ns, facts.st_size, facts.st_ino
