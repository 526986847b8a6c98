"""The events of a job for its callbacks. The body of an event is stored before its delivery is queued."""

import contextlib
from datetime import datetime, timedelta

from maskrelay.contract.records import keys
from maskrelay.contract.records.events import EVENT_TYPES, STORED_EVENT, event_body, event_id
from maskrelay.contract.records.job import Submission
from maskrelay.errors import LedgerUnavailable, ObjectExists
from maskrelay.storage.protocol import Storage, has
from worker.context import WorkerContext

#: How often rows of a running job are added to the result tables.
RUNNING_PERIOD = timedelta(seconds=60)


def announce(
    context: WorkerContext, submission: Submission, event_type: str, *, state: str, at: datetime, counts: dict[str, int]
) -> None:
    """If the caller subscribed to this type of event, store the event and queue its delivery.

    Any process may repeat this.
    """
    if submission.callback is None or event_type not in submission.callback.events:
        return
    job, event = submission.id, event_id(submission.id, event_type)
    if is_delivered(context.storage, job, event):
        return
    base = (context.settings.public_url or "").rstrip("/")
    links = {"self": f"{base}/v1/jobs/{job}", "items": f"{base}/v1/jobs/{job}/items"}
    body = event_body(event_type, at, job=job, state=state, counts=counts, links=links)
    with contextlib.suppress(ObjectExists):
        context.storage.create(keys.event(job, event), body, "application/json")
    context.ledger.outbox.add(job, event, context.spans.here())
    with contextlib.suppress(LedgerUnavailable):
        context.ledger.wake_ups.wake("deliver")


def announce_storing(context: WorkerContext, submission: Submission) -> None:
    """If the results are to be sent to an archive or written to a store, queue that. Any process may repeat this."""
    if submission.store_to is None:
        return
    job, event = submission.id, event_id(submission.id, STORED_EVENT)
    if is_delivered(context.storage, job, event):
        return
    with contextlib.suppress(ObjectExists):
        context.storage.create(keys.event(job, event), b"{}", "application/json")
    context.ledger.outbox.add(job, event, context.spans.here())
    with contextlib.suppress(LedgerUnavailable):
        context.ledger.wake_ups.wake("deliver")


def resume(context: WorkerContext, submission: Submission) -> None:
    """Queue the delivery of each stored event whose delivery is not over, because Redis may have lost the queue."""
    for event_type in (*(submission.callback.events if submission.callback else ()), STORED_EVENT):
        event = event_id(submission.id, event_type)
        if has(context.storage, keys.event(submission.id, event)) and not is_delivered(
            context.storage, submission.id, event
        ):
            context.ledger.outbox.add(submission.id, event)


def is_delivered(storage: Storage, job: str, event: str) -> bool:
    """Return whether the event has a delivery marker, that is, whether it was delivered or given up."""
    return has(storage, keys.delivered(job, event))


def awaits_tables(context: WorkerContext, submission: Submission) -> bool:
    """Return whether rows of the job are still to be added to the result tables."""
    wanted = context.table_places.wanted(submission)
    return wanted and not has(context.storage, keys.tabulated(submission.id))


def queue_tables(context: WorkerContext, submission: Submission, after: timedelta = timedelta(0)) -> None:
    """Queue the step that adds rows of the job to the result tables, if there are any to add.

    Any process may repeat this.
    """
    if awaits_tables(context, submission) and context.ledger.step_leases.queue("tabulate", submission.id, after):
        with contextlib.suppress(LedgerUnavailable):
            context.ledger.wake_ups.wake("tabulate", min(1, context.ledger.wake_ups.work("tabulate")))


def leave_live(context: WorkerContext, submission: Submission) -> bool:
    """Delete the live marker of a finished job if the deliveries of all its events are over, and its rows are in the
    result tables.

    Return whether the deliveries are over.
    """
    storage = context.storage
    asked = submission.callback.events if submission.callback else ()
    for event_type in EVENT_TYPES:
        event = event_id(submission.id, event_type)
        happened = event_type in asked and has(storage, keys.event(submission.id, event))
        if happened and not is_delivered(storage, submission.id, event):
            return False
    if submission.store_to and not is_delivered(storage, submission.id, event_id(submission.id, STORED_EVENT)):
        return False
    if awaits_tables(context, submission):
        return True
    with storage.flushed_later():  # the comparison deletes a marker that a power failure brings back
        storage.delete(keys.live_cancel(submission.id))
        storage.delete(keys.live(submission.id))
    return True
