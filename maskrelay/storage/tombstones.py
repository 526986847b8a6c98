"""Tombstones of deleted jobs: a marker that the sweep lists, then the tombstone, which is authoritative."""

from contextlib import suppress

from maskrelay.contract import keys
from maskrelay.contract.tombstones import Tombstone
from maskrelay.errors import ObjectExists, ObjectMissing
from maskrelay.storage.protocol import Storage
from maskrelay.storage.records import read_record, record_body


def tombstone_of(storage: Storage, job: str) -> Tombstone | None:
    """Return the tombstone of a deleted job, None for any other; raises RecordUnreadable."""
    try:
        return read_record(storage, keys.gone(job), Tombstone)
    except ObjectMissing:
        return None


def entomb(storage: Storage, job: str, tombstone: Tombstone) -> None:
    """Write the tombstone. From then on the job is deleted, whatever fails later; the sweep removes its objects.

    The marker is written first, so that no tombstone is without its sweep; a marker without a tombstone is removed. The
    first tombstone is kept. Safe to repeat.
    """
    storage.put(keys.removing(job), b"")
    with suppress(ObjectExists):
        storage.create(keys.gone(job), record_body(tombstone), "application/json")
