"""The deliver step, which signs and sends one event when its delivery is due.

An object in storage, the delivery marker, records that the delivery is over.
"""

import contextlib
import hashlib
import json
import logging
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from maskrelay.callbacks.callback_sender import CallbackSender, DeliveryResult
from maskrelay.callbacks.retry_schedule import delay_before
from maskrelay.callbacks.sealing import unseal_with_any
from maskrelay.callbacks.signature import derive_secret
from maskrelay.contract.records import keys
from maskrelay.contract.records.delivery_records import DeliveryEnd
from maskrelay.contract.records.events import EVENT_TYPES, STORED_EVENT, event_id
from maskrelay.contract.records.job import CallbackTarget, Submission
from maskrelay.errors import (
    CredentialUnknown,
    LedgerUnavailable,
    ObjectExists,
    ObjectMissing,
    SealInvalid,
    SourceInvalid,
    SourceNotAllowed,
    StorageUnavailable,
)
from maskrelay.ledger.outbox import Delivery
from maskrelay.rules.lanes import callbacks_share
from maskrelay.sources.credential_kinds import DicomwebCredential
from maskrelay.storage.markers import tombstone_of
from maskrelay.storage.stored_records import read_submission
from worker.context import WorkerContext
from worker.context.job_records.event_records import is_delivered, leave_live
from worker.context.lease_renewal import LeaseRenewal
from worker.deliver.prefix_delivery import store_below_prefix, store_beside_sources
from worker.deliver.storing_result import CONTINUES, StoringResult

log = logging.getLogger(__name__)
#: The delay until the next try if storage is unavailable. The failed try does not count as an attempt.
POSTPONED = timedelta(seconds=1)
#: The delay if the secret cannot be decrypted. Probably the server key was changed by mistake, which the operator can
#: correct.
UNSEALED = timedelta(minutes=5)
#: The delay if the callback proxy is unavailable or refuses the request. This try does not count as an attempt, because
#: the receiver did not cause the failure.
PROXY_AWAY = timedelta(seconds=30)
#: The delay after an unexpected error. An operator may repair the stored data of the job in the meantime.
UNFORESEEN = timedelta(minutes=5)


def deliver_due(context: WorkerContext, sender: CallbackSender, until: float) -> None:
    """Send the deliveries that are due, until `until` (monotonic seconds). The rest wait for the next wake-up."""
    while time.monotonic() < until:
        delivery = context.ledger.outbox.take()
        if delivery is None:
            return
        try:
            deliver(context, sender, delivery)
        except SealInvalid:
            words = "callback not sent: its secret was encrypted with another server key"
            log.error(words, extra={"job_id": delivery.job})  # noqa: TRY400
            context.ledger.outbox.again(delivery, UNSEALED, charge=False)
        except StorageUnavailable:
            context.ledger.outbox.again(delivery, POSTPONED, charge=False)
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one delivery must not stop the others
            context.bad_objects.leave_out("delivery", delivery.job, error)
            context.ledger.outbox.again(delivery, UNFORESEEN, charge=False)


def deliver(context: WorkerContext, sender: CallbackSender, delivery: Delivery) -> None:
    """Make one attempt, unless deliveries to the receiver pause, or the tenant or the host has reached its limit.

    In these cases the delivery waits, which does not count as an attempt.
    """
    outbox = context.ledger.outbox
    try:
        submission = read_submission(context.storage, delivery.job)
    except ObjectMissing:
        outbox.over(delivery)
        return
    if delivery.event == event_id(submission.id, STORED_EVENT):
        _store(context, submission, delivery)
        return
    target = submission.callback
    if target is None:
        _close(context, submission, delivery)
        return
    rest = outbox.host_rests(_receiver(submission, target))
    if rest:
        outbox.again(delivery, rest, charge=False)
        return
    tenant = _name_of(f"tenant\n{submission.tenant}"), callbacks_share(context.settings.deliver_threads)
    host = _name_of(urlsplit(target.url).netloc), context.settings.callbacks_per_host
    with contextlib.ExitStack() as held:
        for place, most in (tenant, host):
            if not outbox.enter_host(place, delivery, most):
                outbox.await_place(delivery, place, most)
                return
            held.callback(outbox.leave_host, place, delivery)
        _attempt_unless_over(context, sender, delivery, submission, target)


def _store(context: WorkerContext, submission: Submission, delivery: Delivery) -> None:
    """Make one attempt to store the results where the caller wants them, unless that is already over."""
    if tombstone_of(context.storage, delivery.job):
        context.ledger.outbox.over(delivery)
        return
    if submission.store_to is None or is_delivered(context.storage, delivery.job, delivery.event):
        _close(context, submission, delivery)
        return
    lease, keep = context.settings.delivery_lease, partial(context.ledger.outbox.keep, delivery)
    until = time.monotonic() + lease.total_seconds() / 2
    with context.recorder.timed("deliver"), LeaseRenewal(lease / 4, keep):  # one file may take longer than the lease
        sent = _stored(context, submission, until)
    if sent.reason == CONTINUES:
        context.ledger.outbox.again(delivery, timedelta(0), charge=False)
        return
    context.ledger.outbox.note(delivery, json.dumps({"status": sent.status, "reason": sent.reason}))
    after = None if sent.is_over else delay_before(delivery.attempt + 1, random.random(), retry_after=None)
    if after is not None:
        context.ledger.outbox.again(delivery, after)
        return
    _mark(context, delivery.job, delivery.event, sent.reason, delivery.attempt, sent.status, sent.left_out)
    _close(context, submission, delivery)


def _stored(context: WorkerContext, submission: Submission, until: float) -> StoringResult:
    if submission.store_beside:
        return store_beside_sources(context, submission, until)
    try:
        place = context.credentials.destination(submission.tenant, submission.store_to or "", submission.store_prefix)
    except (CredentialUnknown, SourceInvalid, SourceNotAllowed):
        return StoringResult(is_over=False, reason="credential")
    if isinstance(place.credential, DicomwebCredential):
        from worker.deliver.archive_delivery import send_to_archive  # noqa: PLC0415 - pydicom is needed only here

        return send_to_archive(context, submission, place, until)
    return store_below_prefix(context, submission, place, until)


def _attempt_unless_over(
    context: WorkerContext, sender: CallbackSender, delivery: Delivery, submission: Submission, target: CallbackTarget
) -> None:
    """Make one attempt, unless the delivery is already over.

    The delivery marker in storage is checked before the attempt. Otherwise, a delivered event would be sent again after
    Redis has lost its data.
    """
    storage, outbox = context.storage, context.ledger.outbox
    if tombstone_of(storage, delivery.job):
        outbox.over(delivery)
        return
    try:
        body = storage.get(keys.event(delivery.job, delivery.event))
    except ObjectMissing:
        outbox.over(delivery)
        return
    if is_delivered(storage, delivery.job, delivery.event):
        _close(context, submission, delivery)
        return
    _attempt(context, sender, delivery, submission, target, body)


def _attempt(
    context: WorkerContext,
    sender: CallbackSender,
    delivery: Delivery,
    submission: Submission,
    target: CallbackTarget,
    body: bytes,
) -> None:
    secrets = _secrets(context, submission.id, target)
    now = int(time.time())
    links = [delivery.traceparent] if delivery.traceparent else []
    about = {"job_id": delivery.job, "event": delivery.event, "attempt": delivery.attempt}
    with (
        context.recorder.timed("deliver"),
        context.spans.span("callback", submission.traceparent, kind="client", links=links, job_id=delivery.job) as span,
    ):
        span.note(attempt=delivery.attempt)
        sent = sender.send(target.url, secrets, delivery.event, body, now, traceparent=span.traceparent)
        span.note(result=sent.reason)
    context.recorder.happened("callback", sent.reason)
    log.info("callback", extra={**about, "result": sent.reason})
    _note(context, delivery, _receiver(submission, target), sent)
    if sent.reason == "proxy":
        context.ledger.outbox.again(delivery, PROXY_AWAY, charge=False)
        return
    if sent.delivered:
        _mark(context, delivery.job, delivery.event, sent.reason, delivery.attempt, sent.status)
        _close(context, submission, delivery)
        return
    if sent.disable:
        for event in (event_id(submission.id, event_type) for event_type in EVENT_TYPES):
            _mark(context, delivery.job, event, sent.reason, *_tried(delivery, event, sent))
        _close(context, submission, delivery)
        return
    asked = timedelta(seconds=sent.retry_after_s) if sent.retry_after_s is not None else None
    after = delay_before(delivery.attempt + 1, random.random(), retry_after=asked)
    if after is not None:
        context.ledger.outbox.again(delivery, after)
        return
    _mark(context, delivery.job, delivery.event, sent.reason, delivery.attempt, sent.status)
    _close(context, submission, delivery)


def _secrets(context: WorkerContext, job: str, target: CallbackTarget) -> list[str]:
    """Return the secrets for the signatures. There are two during the replacement of a secret or server key."""
    if target.sealed is None:
        return [derive_secret(server_key, job) for server_key in context.settings.server_keys]
    return unseal_with_any(context.settings.server_keys, target.sealed, job).split(" ")


def _receiver(submission: Submission, target: CallbackTarget) -> str:
    """Return a name for this host and this tenant.

    It includes the tenant, so failures do not delay the events of other tenants.
    """
    return _name_of(f"{submission.tenant}\n{urlsplit(target.url).netloc}")


def _name_of(what: str) -> str:
    """Return a hash of `what` that serves as a name in the ledger."""
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def _note(context: WorkerContext, delivery: Delivery, receiver: str, sent: DeliveryResult) -> None:
    """Record the result of the attempt.

    A host that is unreachable or fails repeatedly gets no attempts for some time.
    """
    context.ledger.outbox.note(delivery, json.dumps({"status": sent.status, "reason": sent.reason}))
    if sent.status is not None and sent.status < 500:
        context.ledger.outbox.host_answered(receiver)
    elif sent.reason not in {"forbidden_address", "proxy"}:
        context.ledger.outbox.host_failed(receiver)


def _tried(delivery: Delivery, event: str, sent: DeliveryResult) -> tuple[int, int | None]:
    """Return the number of attempts and the last status, for the delivery marker of `event`.

    The receiver has refused all further events in its response to `delivery`. For the other events of the job, the
    result is 0 and None.
    """
    return (delivery.attempt, sent.status) if event == delivery.event else (0, None)


def _mark(
    context: WorkerContext,
    job: str,
    event: str,
    how: str,
    attempts: int,
    status: int | None,
    left_out: Mapping[str, int] | None = None,
) -> None:
    about = {"attempts": attempts, "status": status, "left_out": left_out or {}}
    marker = DeliveryEnd.model_validate({"how": how, "at": datetime.now(UTC), **about})
    with contextlib.suppress(ObjectExists):
        context.storage.create(keys.delivered(job, event), marker.model_dump_json().encode(), "application/json")


def _close(context: WorkerContext, submission: Submission, delivery: Delivery) -> None:
    """Record that the delivery is over.

    If the job has ended and all its deliveries are over, delete its live marker.
    """
    context.ledger.outbox.over(delivery)
    try:
        context.storage.head(keys.result(submission.id))
    except ObjectMissing:
        return
    if leave_live(context, submission):
        context.ledger.jobs.close_events(submission.id)
