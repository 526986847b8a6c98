"""Lets a job be cancelled: the intent, which is what counts, then a marker that the listing of live jobs shows."""

from contextlib import suppress
from datetime import UTC, datetime

from maskrelay.contract import keys
from maskrelay.contract.cancels import CancelIntent
from maskrelay.errors import ObjectExists, ObjectMissing
from maskrelay.storage.protocol import Storage


def intend_cancel(storage: Storage, job: str, reason: str) -> None:
    """From its return on the job is being cancelled, whatever fails later. The first intent stays. Safe to repeat."""
    intent = CancelIntent(reason=reason, at=datetime.now(UTC))
    with suppress(ObjectExists):
        storage.create(keys.cancel(job), intent.model_dump_json().encode(), "application/json")
    storage.put(keys.live_cancel(job), b"")


def cancel_intent(storage: Storage, job: str) -> CancelIntent | None:
    try:
        return CancelIntent.model_validate_json(storage.get(keys.cancel(job)))
    except ObjectMissing:
        return None
