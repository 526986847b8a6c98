"""Tombstones of deleted jobs: a marker that the sweep lists, then the tombstone, which is authoritative."""

from contextlib import suppress

from maskrelay.contract import keys
from maskrelay.contract.tombstones import Tombstone
from maskrelay.errors import ObjectExists, ObjectMissing
from maskrelay.storage.protocol import Storage
from maskrelay.storage.records import read_record, record_body


def tombstone_of(storage: Storage, job: str) -> Tombstone | None:
    """The tombstone of a job that is gone; raises RecordUnreadable."""
    try:
        return read_record(storage, keys.gone(job), Tombstone)
    except ObjectMissing:
        return None


def entomb(storage: Storage, job: str, tombstone: Tombstone) -> None:
    """From its return on the job is gone, whatever fails later; its objects are removed by the sweep.

    The marker comes first, so that no tombstone is without its sweep; one whose tombstone never came is removed. The
    first tombstone stays. Safe to repeat.
    """
    storage.put(keys.removing(job), b"")
    with suppress(ObjectExists):
        storage.create(keys.gone(job), record_body(tombstone), "application/json")
