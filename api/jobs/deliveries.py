"""The handlers that list the events of a job's callback, and that send an event again."""

import json
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.dependencies import (
    Dependencies,
    dependencies_of,
    in_thread,
    tenant_of,
)
from api.jobs.lookup import JobSnapshot, find_job
from maskrelay.contract.records import keys
from maskrelay.contract.records.delivery_records import DeliveryEnd
from maskrelay.contract.records.events import EVENT_TYPES, STORED_EVENT, event_id
from maskrelay.contract.views.delivery_views import DeliveryList, DeliveryShown
from maskrelay.errors import Gone, NotFound, ObjectMissing
from maskrelay.storage.stored_records import read_record


async def list_deliveries(request: Request, job: str) -> Response:
    """List the job's events so far, with their state and their attempts.

    A job has events if it has a callback. The delivery that the option `store_to` asks for is listed too, as the type
    `dicom.stored`, whether DICOM segmentations are sent to an archive or files are written to a store.
    """
    dependencies = dependencies_of(request)
    known = await in_thread(find_job, dependencies, tenant_of(request), job)
    shown = await in_thread(_listed, dependencies, known)
    return JSONResponse(DeliveryList(deliveries=shown).model_dump(mode="json"), headers={"Cache-Control": "no-store"})


async def replay_delivery(request: Request, job: str, event: str) -> Response:
    """Send an event again with the same id.

    The retry schedule starts from the beginning. If the event is waiting for its next attempt, it is sent immediately.
    """
    dependencies = dependencies_of(request)
    known = await in_thread(find_job, dependencies, tenant_of(request), job)
    shown = await in_thread(_replay, dependencies, known, event)
    return JSONResponse(shown.model_dump(mode="json"), 202, headers={"Cache-Control": "no-store"})


def _listed(dependencies: Dependencies, known: JobSnapshot) -> list[DeliveryShown]:
    callback = known.submission.callback
    types = [event_type for event_type in EVENT_TYPES if callback is not None and event_type in callback.events]
    types += [STORED_EVENT] if known.submission.store_to else []
    return [shown for event_type in types if (shown := _shown(dependencies, known.id, event_type)) is not None]


def _shown(dependencies: Dependencies, job: str, event_type: str) -> DeliveryShown | None:
    """Return one event, or None if it has not happened.

    The marker of a delivery alone does not mean that its event has happened. If the receiver has refused further
    events, there are markers for all events of the job.
    """
    event = event_id(job, event_type)
    with suppress(ObjectMissing):
        end = read_record(dependencies.storage, keys.delivered(job, event), DeliveryEnd)
        if end.how != "ok" and not end.attempts and not dependencies.archive.has(keys.event(job, event)):
            return None
        state = "delivered" if end.how == "ok" else "given_up"
        known = {"attempts": end.attempts, "status": end.status, "reason": end.how, "ended_at": end.at}
        about = {"event": event, "type": event_type, "state": state, "left_out": end.left_out}
        return DeliveryShown.model_validate({**about, **known})
    if not dependencies.archive.has(keys.event(job, event)):
        return None
    attempts, last = dependencies.ledger.outbox.standing(job, event)
    last_attempt = json.loads(last) if last else {}
    return DeliveryShown(event=event, type=event_type, state="waiting", attempts=attempts, **last_attempt)


def _replay(dependencies: Dependencies, known: JobSnapshot, event: str) -> DeliveryShown:
    """Request that an event is sent again, and return the event.

    First the live marker is written, and then the marker of the ended delivery is removed. The sweep therefore finds
    the event even if the ledger is unavailable.
    """
    listed = {delivery.event: delivery for delivery in _listed(dependencies, known)}
    if event not in listed:
        raise NotFound
    if not dependencies.archive.has(keys.event(known.id, event)):
        raise Gone("The event is too old to be sent again.")
    dependencies.storage.put(keys.live(known.id), b"")
    if listed[event].type == STORED_EVENT:  # otherwise, nothing would be sent or written again
        for key in dependencies.storage.list(keys.stored(known.id)):
            dependencies.storage.delete(key)
    dependencies.storage.delete(keys.delivered(known.id, event))
    with dependencies.unrecorded.left_to_sweep(known.id):
        dependencies.ledger.outbox.replay(known.id, event)
        dependencies.ledger.wake_ups.wake("deliver")
    return DeliveryShown(event=event, type=listed[event].type, state="waiting", attempts=0, status=None)
