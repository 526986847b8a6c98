"""The audit log as a test finds it in storage."""

import json
from collections.abc import Sequence
from typing import Any

from maskrelay.contract.records import keys
from maskrelay.contract.records.audit_entries import unsealed
from maskrelay.storage.protocol import Storage


def audit_files(storage: Storage) -> list[str]:
    return list(storage.list(keys.AUDIT))


def entries(storage: Storage) -> list[dict[str, Any]]:
    """Return every entry in storage, with the files in the order of their keys."""
    return [json.loads(line) for key in audit_files(storage) for line in unsealed(storage.get(key))[0]]


def done(storage: Storage, did: str) -> Sequence[dict[str, Any]]:
    return [entry for entry in entries(storage) if entry["did"] == did]
