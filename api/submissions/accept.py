"""The acceptance of a job, step by step. If a step before the creation of `job.json` fails, the job is not accepted."""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.dependencies import Dependencies
from api.http.json_pointer import pointer
from api.submissions.idempotency import HOLD, earlier, job_id, reserved, same, standing
from api.submissions.immediate_plan import ImmediatePlan, immediate_plan
from api.submissions.job_fields import check_options, fields_of
from api.submissions.parse import RequestedItem, SubmissionRequest
from api.submissions.source_references import Reference, credential_names
from api.submissions.stored_beside import check_sources_beside
from api.submissions.upload_quota import uploads_used
from api.submissions.uploads import Incoming, Upload
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import (
    INTERACTIVE_ITEMS,
    Item,
    Submission,
)
from maskrelay.contract.records.source_pins import is_reference, name_in
from maskrelay.contract.vocabulary.trained_targets import prompt_warnings
from maskrelay.errors import LedgerFull, ObjectExists, QuotaReached, StorageUnavailable, UploadExpired
from maskrelay.ledger.quotas import Usage
from maskrelay.storage.stored_records import record_body
from maskrelay.storage.submitted_items import item_lines, write_before_acceptance


@dataclass(frozen=True, slots=True)
class SubmissionContext:
    """The context of a request: the caller's tenant, the idempotency key and the trace."""

    tenant: str
    key: str | None
    traceparent: str | None
    #: Whether the caller waits for the end of the job.
    waits: bool = False


def check_room(dependencies: Dependencies, request: SubmissionContext, declared: int) -> None:
    """Raise QuotaReached, LedgerFull or LedgerUnavailable if a body of this size could not be accepted as a job.

    This is checked before the body is read, and again while it is received. A repeat of a request whose job was already
    accepted needs no quota.
    """
    more = Usage(jobs=1, frames=1, bytes=declared)
    try:
        dependencies.ledger.quotas.check(request.tenant, more, dependencies.quotas(request.tenant), memory=True)
    except (QuotaReached, LedgerFull):
        if request.key is None or earlier(dependencies, job_id(dependencies, request.tenant, request.key)) is None:
            raise


def accept(
    dependencies: Dependencies, request: SubmissionContext, wanted: SubmissionRequest, incoming: Incoming
) -> Submission:
    """Return the submission for this request: a new one, or the first one with the same idempotency key.

    When the function returns, the job is durable. If it raises LedgerUnavailable or StorageUnavailable, the job was not
    accepted. It also raises StillAccepting, IdempotencyKeyReused, Gone, UploadExpired, CredentialUnknown,
    SourceNotAllowed, OptionInvalid, CallbackForbidden, LaneForbidden or QuotaReached.
    """
    job = job_id(dependencies, request.tenant, request.key)
    if request.key is None:
        return _accept_new(dependencies, request, wanted, incoming, job)
    found = earlier(dependencies, job)
    if found is not None:
        return same(found, wanted.fingerprint())
    with reserved(dependencies, job):
        return _accept_new(dependencies, request, wanted, incoming, job)


def _accept_new(
    dependencies: Dependencies, request: SubmissionContext, wanted: SubmissionRequest, incoming: Incoming, job: str
) -> Submission:
    _check_admissible(dependencies, request.tenant, wanted)
    credentials = credential_names(dependencies.credentials, request.tenant, wanted.sources)
    submission, items = _written(dependencies, request, wanted, job, credentials)
    uploads = {upload.id for upload in wanted.uploads}
    with (
        uploads_used(dependencies, request.tenant, uploads, incoming),
        room_kept(dependencies, submission),
        immediate_plan(dependencies.storage, submission) if request.waits else nullcontext() as plan,
    ):
        prepare(dependencies, submission, items)
        incoming.kept = True  # from here on the job may exist, even if the response of the store is lost
        if stand(dependencies, submission, plan):
            return submission
        incoming.kept = False
        return same(standing(dependencies, job), wanted.fingerprint())


def prepare(dependencies: Dependencies, submission: Submission, items: Sequence[Item]) -> None:
    """Write everything that must be in storage before the submission.

    These objects are the live marker, the list of items if it is long, and one object for each upload, which says that
    the job uses the upload. Raises RecordUnreadable, before anything is written, if the submission could not be read
    back from storage.
    """
    job = submission.id
    record_body(submission)
    lines = item_lines(items)
    mark_uses(dependencies, job, {item.source for item in items if not is_reference(item.source)})
    write_before_acceptance(dependencies.storage, submission, lines)


def room_kept(dependencies: Dependencies, submission: Submission) -> AbstractContextManager[None]:
    """Count the job against its tenant's quota while it is being accepted (see `Quotas.kept`)."""
    return dependencies.ledger.quotas.kept(submission, dependencies.quotas(submission.tenant), HOLD)


def _check_admissible(dependencies: Dependencies, tenant: str, wanted: SubmissionRequest) -> None:
    """Check conditions that may change over time.

    A repeat of an accepted request must not fail because of them, so they apply only to new jobs.
    """
    wanted.lane()
    now = datetime.now(UTC)
    for number, source in enumerate(wanted.sources):
        if isinstance(source, Upload) and source.is_expired(now, dependencies.limits.upload_lifetime):
            raise UploadExpired(pointer=pointer("items", number, "upload"))
    check_options(dependencies, tenant, wanted.options)
    check_sources_beside(dependencies.credentials, tenant, wanted.options, wanted.sources)


def item_of(asked: RequestedItem, source: Upload | Reference, credential: str | None) -> Item:
    """Return the submitted item. `credential` is the name of the credential of a source by reference."""
    about: dict[str, Any] = {"custom_id": asked.custom_id, "prompts": asked.prompts, "options": asked.options}
    if isinstance(source, Reference):
        name = name_in(source.url)
        return Item(**about, source=source.url, size=0, sha256="", credential=credential, source_name=name)
    about |= {"kind": source.kind, "source_name": source.source_name}
    return Item(**about, source=source.key, size=source.size, sha256=source.sha256)


def _written(
    dependencies: Dependencies,
    request: SubmissionContext,
    wanted: SubmissionRequest,
    job: str,
    credentials: Sequence[str | None],
) -> tuple[Submission, tuple[Item, ...]]:
    """Return the submission as it will be stored, and its items.

    If there are many items, they are stored in a separate object.
    """
    items = tuple(map(item_of, wanted.items, wanted.sources, credentials))
    inline = len(items) <= INTERACTIVE_ITEMS
    submission = Submission(
        **fields_of(dependencies, wanted.options, job, request.tenant, request.traceparent),
        lane=wanted.lane(),
        warnings=prompt_warnings([prompt for asked in wanted.items for prompt in asked.prompts]),
        total=len(items),
        size=sum({upload.key: upload.size for upload in wanted.uploads}.values()),
        items=items if inline else (),
        items_key=None if inline else keys.items(job, secrets.token_hex(8)),
        fingerprint=wanted.fingerprint(),
    )
    return submission, items


def template(
    dependencies: Dependencies, request: SubmissionContext, wanted: SubmissionRequest, watch_id: str
) -> Submission:
    """Return the submission of a watch, from which its jobs are made. A secret of the caller is sealed for `watch_id`.

    Raises OptionInvalid, CallbackForbidden or LaneForbidden.
    """
    _check_admissible(dependencies, request.tenant, wanted)
    submission, _ = _written(dependencies, request, wanted, watch_id, ())
    return submission


def mark_uses(dependencies: Dependencies, job: str, uploads: Iterable[str]) -> None:
    """Mark these uploads as used by the job, so that they are kept. The marks count only if the job is accepted."""
    with dependencies.storage.flushed_later():
        dependencies.storage.put_all({keys.upload_use(upload, job): b"" for upload in uploads})


def stand(dependencies: Dependencies, submission: Submission, plan: ImmediatePlan | None = None) -> bool:
    """Create `job.json` and record the job in the ledger. Return False if another job was accepted with this id."""
    try:
        is_planned = _create(dependencies, submission, plan)
    except ObjectExists:
        return False
    _tell_ledger(dependencies, submission, frames=submission.total if is_planned else 0)
    return True


def _create(dependencies: Dependencies, submission: Submission, plan: ImmediatePlan | None) -> bool:
    """Create `job.json`, which accepts the job, and then show its plan. Raises ObjectExists if it exists.

    If the store does not respond, read the object to find out whether it was created. Return whether the plan is
    stored.
    """
    storage = dependencies.storage
    try:
        try:
            with storage.flushed_later() if plan else nullcontext():
                storage.create(keys.accepted(submission.id), record_body(submission), "application/json")
                is_planned = plan is not None and plan.show()
        finally:
            if plan:
                storage.flush()
    except StorageUnavailable:
        if dependencies.archive.submission(submission.id) != submission:
            raise
        return False
    return is_planned


def _tell_ledger(dependencies: Dependencies, submission: Submission, frames: int) -> None:
    """Record the job and send a wake-up for its next step. If this fails, the sweep records the job.

    `frames` is the number of frames of the stored plan, or 0 if the job is yet to be planned.
    """
    with dependencies.unrecorded.left_to_sweep(submission.id):
        task = dependencies.ledger.jobs.accept(submission, frames=frames)
        if task is not None:
            dependencies.ledger.wake_ups.send(task)
