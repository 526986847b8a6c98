"""Authentication by API keys. A file contains their SHA-256 hashes."""

import hashlib
import hmac
import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from api.auth.scopes import Caller
from maskrelay.contract.records.api_key_file import KeyEntry, read_keys, unreadable
from maskrelay.errors import SettingsError
from maskrelay.ledger.quotas import Usage

_log = logging.getLogger(__name__)


class KeysFile:
    """The keys in a file, which is read again when it changes.

    If the changed file cannot be read, the previous keys stay in use, and a warning is logged. Otherwise, a
    half-written file would lock out all callers.
    """

    def __init__(self, path: Path, entries: list[KeyEntry], seen: tuple[int, ...]) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._entries = entries
        self._seen = seen

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the file for the first time. Raises SettingsError if that is not possible."""
        seen = _stamp(path)
        return cls(path, read_keys(path), seen)

    def caller(self, key: str) -> Caller | None:
        """Return the caller with this key, or None if the key is unknown or not valid now.

        The key is compared with every entry, each in constant time.
        """
        digest = hashlib.sha256(key.encode()).hexdigest()
        found = [entry for entry in self._current() if hmac.compare_digest(entry.sha256, digest)]
        if not found or not found[0].counts_at(datetime.now(UTC)):
            return None
        (entry,) = found
        return Caller(entry.tenant, entry.scopes, f"key:{entry.name or entry.sha256[:8]}")

    def quotas(self, tenant: str, default: Usage) -> Usage:
        """Return the tenant's quotas from the file. Quotas that the file does not set are taken from `default`."""
        given = [entry.quotas for entry in self._current() if entry.tenant == tenant and entry.quotas is not None]
        return replace(default, **given[0].model_dump(exclude_none=True)) if given else default

    def _current(self) -> list[KeyEntry]:
        with self._lock:
            try:
                stamp = _stamp(self._path)
                if stamp != self._seen:
                    self._seen = stamp
                    self._entries = read_keys(self._path)
            except SettingsError as error:
                _log.warning("the previous keys stay in use: %s", error.detail)
            return self._entries


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        facts = path.stat()
    except OSError as error:
        raise unreadable(error) from None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
