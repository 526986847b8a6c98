"""Writes the objects that cancel, delete or halt a job, each together with its marker among the live jobs."""

from contextlib import suppress
from datetime import UTC, datetime

from maskrelay.contract.records import keys
from maskrelay.contract.records.endings import CancelIntent, Halt, Tombstone
from maskrelay.errors import ObjectExists, ObjectMissing
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import read_record, record_body


def intend_cancel(storage: Storage, job: str, reason: str) -> None:
    """Store the intent. From then on the job is being cancelled, whatever fails later.

    The first intent is kept. Safe to repeat.
    """
    intent = CancelIntent(reason=reason, at=datetime.now(UTC))
    with suppress(ObjectExists):
        storage.create(keys.cancel(job), record_body(intent), "application/json")
    storage.put(keys.live_cancel(job), b"")


def cancel_intent(storage: Storage, job: str) -> CancelIntent | None:
    """Return why the job is being cancelled, None if it is not; raises RecordUnreadable."""
    try:
        return read_record(storage, keys.cancel(job), CancelIntent)
    except ObjectMissing:
        return None


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


def halt_of(storage: Storage, job: str) -> Halt | None:
    """Return why the job ended without a result; None for any other job. Raises RecordUnreadable."""
    try:
        return read_record(storage, keys.halted(job), Halt)
    except ObjectMissing:
        return None


def write_halt(storage: Storage, job: str, halt: Halt) -> None:
    """Store the halt. From then on the job has ended, whatever fails later.

    The first halt is kept. Safe to repeat.
    """
    with suppress(ObjectExists):
        storage.create(keys.halted(job), record_body(halt), "application/json")
