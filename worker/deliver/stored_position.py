"""The record of how far the results of a job are stored where its caller wants them."""

from maskrelay.contract.records import keys
from maskrelay.contract.records.delivery_records import StoredPosition
from maskrelay.errors import ObjectMissing, RecordUnreadable
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import read_record


def read_position(storage: Storage, job: str) -> StoredPosition:
    """Return how far earlier attempts have come. The record of an earlier version of the software is not used."""
    try:
        return read_record(storage, keys.stored_position(job), StoredPosition)
    except (ObjectMissing, RecordUnreadable):
        return StoredPosition(item=0)


def write_position(storage: Storage, job: str, position: StoredPosition) -> None:
    storage.put(keys.stored_position(job), position.model_dump_json().encode(), "application/json")
