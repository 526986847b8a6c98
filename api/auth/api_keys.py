"""Authentication by API keys. A file contains their SHA-256 hashes."""

import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from api.auth.scopes import Caller
from maskrelay.contract.records.api_key_file import KeyEntry, read_keys
from maskrelay.ledger.quotas import Usage, quotas_in
from maskrelay.reread_file import RereadFile


class KeysFile:
    """The keys in a file, which is read again when it changes.

    If the changed file cannot be read, the previous keys stay in use (see `RereadFile`).
    """

    def __init__(self, file: RereadFile[list[KeyEntry]]) -> None:
        self._file = file

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the file for the first time. Raises SettingsError if that is not possible."""
        return cls(RereadFile.open(path, "keys", read_keys))

    def caller(self, key: str) -> Caller | None:
        """Return the caller with this key, or None if the key is unknown or not valid now.

        The key is compared with every entry, each in constant time.
        """
        digest = hashlib.sha256(key.encode()).hexdigest()
        found = [entry for entry in self._file.current() if hmac.compare_digest(entry.sha256, digest)]
        if not found or not found[0].counts_at(datetime.now(UTC)):
            return None
        (entry,) = found
        return Caller(entry.tenant, entry.scopes, f"key:{entry.name or entry.sha256[:8]}")

    def quotas(self, tenant: str, default: Usage) -> Usage:
        """Return the tenant's quotas from the file. Quotas that the file does not set are taken from `default`."""
        return quotas_in(self._file.current(), tenant, default)
