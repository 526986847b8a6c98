"""The id of a store. The first process that needs the id creates it. A store that is moved keeps its id."""

import json
import secrets
from contextlib import suppress

from maskrelay.contract.records import keys
from maskrelay.errors import ObjectExists, ObjectMissing, SettingsError
from maskrelay.storage.protocol import Storage


def store_id(storage: Storage) -> str:
    """Return the store's id. If there is none, create it first.

    Raises StorageUnavailable if the store does not respond, and SettingsError if the stored id cannot be read.
    """
    try:
        body = storage.get(keys.STORE_ID)
    except ObjectMissing:
        with suppress(ObjectExists):
            storage.create(keys.STORE_ID, json.dumps({"id": secrets.token_hex(16)}).encode(), "application/json")
        body = storage.get(keys.STORE_ID)
    try:
        found = json.loads(body)["id"]
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, str) or not found:
        raise SettingsError(f"the store's id cannot be read: {keys.STORE_ID} is damaged")
    return found
