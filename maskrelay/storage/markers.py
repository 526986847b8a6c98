"""Functions that read and write the records that cancel, delete or halt a job, and their markers."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from maskrelay.contract.records import keys
from maskrelay.contract.records.endings import CancelIntent, Halt, Tombstone
from maskrelay.contract.records.job import JobState
from maskrelay.errors import ObjectExists, ObjectMissing
from maskrelay.rules.lifecycle import may_cancel
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import read_record, record_body


def cancel_job(storage: Storage, job: str, reason: str, move: Callable[[str, str], JobState | None]) -> bool:
    """Cancel a job: store the cancellation record and its marker, then call `move(job, reason)` to change the ledger.

    `move` returns the state that the job had before, or None if the ledger does not know the job. If the job was
    finishing or had ended, remove the marker and return False. Otherwise return True. Exceptions of `move` are not
    caught. The job is cancelled even then, because the sweep finds the record. An existing record is kept. The call may
    be repeated.
    """
    intent = CancelIntent(reason=reason, at=datetime.now(UTC))
    with suppress(ObjectExists):
        storage.create(keys.cancel(job), record_body(intent), "application/json")
    storage.put(keys.live_cancel(job), b"")
    before = move(job, reason)
    if before is None or may_cancel(before):
        return True
    storage.delete(keys.live_cancel(job))
    return False


def cancel_intent(storage: Storage, job: str) -> CancelIntent | None:
    """Return the reason and time of the job's cancellation, or None if the job is not being cancelled.

    Raises RecordUnreadable if the stored record cannot be read.
    """
    try:
        return read_record(storage, keys.cancel(job), CancelIntent)
    except ObjectMissing:
        return None


def tombstone_of(storage: Storage, job: str) -> Tombstone | None:
    """Return the tombstone of a deleted or expired job, or None for any other job.

    Raises RecordUnreadable if the stored record cannot be read.
    """
    try:
        return read_record(storage, keys.gone(job), Tombstone)
    except ObjectMissing:
        return None


def write_tombstone(storage: Storage, job: str, tombstone: Tombstone) -> None:
    """Write the marker and the tombstone of a job. From then on the job is deleted, and the sweep removes its objects.

    The sweep finds deleted jobs by their markers. The marker is written first, so there is no tombstone without a
    marker. The sweep removes a marker without a tombstone. An existing tombstone is kept. The call may be repeated.
    """
    storage.put(keys.removing(job), b"")
    with suppress(ObjectExists):
        storage.create(keys.gone(job), record_body(tombstone), "application/json")


def halt_of(storage: Storage, job: str) -> Halt | None:
    """Return the reason why a job ended without a result, or None for any other job.

    Raises RecordUnreadable if the stored record cannot be read.
    """
    try:
        return read_record(storage, keys.halted(job), Halt)
    except ObjectMissing:
        return None


def write_halt(storage: Storage, job: str, halt: Halt) -> None:
    """Store the reason why the job ends without a result. From then on the job has ended.

    If a reason is stored already, it is kept. The call may be repeated.
    """
    with suppress(ObjectExists):
        storage.create(keys.halted(job), record_body(halt), "application/json")
