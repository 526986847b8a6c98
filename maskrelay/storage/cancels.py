"""Cancel intents: the intent of a job, which is authoritative, and a marker that the listing of live jobs shows."""

from contextlib import suppress
from datetime import UTC, datetime

from maskrelay.contract import keys
from maskrelay.contract.cancels import CancelIntent
from maskrelay.errors import ObjectExists, ObjectMissing
from maskrelay.storage.protocol import Storage
from maskrelay.storage.records import read_record, record_body


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
