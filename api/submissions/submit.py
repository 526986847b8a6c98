"""The handlers of POST /v1/jobs and POST /v1/uploads."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
from anyio import CancelScope
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.dependencies import (
    Dependencies,
    base_of,
    caller_of,
    dependencies_of,
    in_thread,
    side_by_side,
    tenant_of,
)
from api.http.headers import RETRY_AFTER, idempotency_key, wait_asked
from api.http.json_pointer import pointer
from api.http.middleware.request_audit import note
from api.jobs.item_reviews import add_reviews
from api.jobs.items import short_job_items
from api.jobs.long_poll import until_ended
from api.jobs.lookup import JobSnapshot, find_job
from api.jobs.representation import body_of, item_body, job_shown, job_url
from api.submissions import accept, idempotency, request_bodies
from api.submissions.accept_run import accept_referenced_run, accept_run
from api.submissions.options import read_json
from api.submissions.parse import (
    RequestedItem,
    SubmissionRequest,
    read_body,
    read_form,
)
from api.submissions.referenced_run import ReferencedRun, is_referenced_run, read_referenced_run
from api.submissions.run_body import RunReceiver
from api.submissions.source_references import Reference
from api.submissions.upload_quota import ByteCheck, byte_check, check_frames, publish
from api.submissions.uploads import (
    Incoming,
    Upload,
    find_upload,
    incoming_of,
)
from maskrelay.callbacks.signature import derive_secret
from maskrelay.contract.records.job import Submission
from maskrelay.contract.views.job_views import UploadList, UploadShown
from maskrelay.errors import (
    LedgerUnavailable,
    Malformed,
    MaskrelayError,
    NoItems,
    NotFound,
    StillAccepting,
    StorageUnavailable,
    UploadUnknown,
)

#: The number of seconds for which a repeated request waits for the first request with the same idempotency key. After
#: that, the repeated request gets the error `still_accepting`.
_PATIENCE_S = 5.0
_PAUSE_S = 0.1


async def submit_job(request: Request) -> Response:
    """Accept a job. When the response is 202, the job is durable.

    The same request with the same `Idempotency-Key` returns the first job. A different request with
    that key is refused.
    """
    dependencies, tenant = dependencies_of(request), tenant_of(request)
    wait = wait_asked(request.headers)
    asking = accept.SubmissionContext(tenant, idempotency_key(request.headers), request.state.traceparent, bool(wait))
    declared = _declared(request) if request_bodies.kind_of(request) == "multipart/form-data" else 0
    await in_thread(accept.check_room, dependencies, asking, declared)  # a body that could not be accepted is not read
    async with incoming_of(dependencies, tenant) as incoming:
        with dependencies.spans.span("submit", asking.traceparent, kind="server") as span:
            traced = replace(asking, traceparent=span.traceparent)
            if request_bodies.kind_of(request) == request_bodies.LINES:
                submission = await _submit_run(request, dependencies, incoming, traced)
            else:
                wanted = await _read(request, dependencies, incoming, asking)
                if isinstance(wanted, ReferencedRun):
                    call = partial(accept_referenced_run, dependencies, traced, wanted, incoming)
                else:
                    call = partial(accept.accept, dependencies, traced, wanted, incoming)
                submission = await _accept(call)
            span.note(job_id=submission.id, items=submission.total)
    return await answer_accepted(request, submission, wait, is_new=incoming.kept)


def _declared(request: Request) -> int:
    """Return the declared length of the body, or 0 if there is none."""
    return int(request.headers.get("content-length", "0"))


async def _read(
    request: Request, dependencies: Dependencies, incoming: Incoming, asking: accept.SubmissionContext
) -> SubmissionRequest | ReferencedRun:
    kind = request_bodies.kind_of(request)
    if kind == "multipart/form-data":
        check = ByteCheck(partial(accept.check_room, dependencies, asking))
        fields = await request_bodies.receive_job_form(request, incoming, dependencies.limits, check)
        items, options = read_form(fields, len(incoming.uploads), dependencies.limits)
        return SubmissionRequest(items, tuple(incoming.uploads), options)
    if kind == "application/json":
        body = await request_bodies.receive_json(request, dependencies.limits)
        value = await in_thread(read_json, body, pointer())
        if is_referenced_run(value):
            return await in_thread(read_referenced_run, value, dependencies.limits)
        items, options = await in_thread(read_body, value, dependencies.limits)
        sources = await in_thread(_find_sources, dependencies, tenant_of(request), items)
        return SubmissionRequest(items, sources, options)
    raise Malformed(f"Send multipart/form-data, application/json or {request_bodies.LINES}.")


async def _submit_run(
    request: Request, dependencies: Dependencies, incoming: Incoming, asking: accept.SubmissionContext
) -> Submission:
    """Store the lines of the body as they arrive, and accept the run."""
    job = await in_thread(idempotency.job_id, dependencies, asking.tenant, asking.key)
    is_new = asking.key is None or await in_thread(idempotency.earlier, dependencies, job) is None
    receiver = RunReceiver(dependencies, asking.tenant, job, secrets.token_hex(8), is_new=is_new)
    try:
        await in_thread(receiver.begin)
        frames = ByteCheck(lambda _: check_frames(dependencies, asking.tenant, receiver.items))
        await request_bodies.receive(request, receiver.feed, dependencies.limits.body_bytes, frames if is_new else None)
        wanted = await in_thread(receiver.close)
        return await _accept(partial(accept_run, dependencies, asking, job, wanted, incoming))
    finally:
        with CancelScope(shield=True):
            await in_thread(partial(receiver.release, kept=incoming.kept))


def _find_sources(
    dependencies: Dependencies, tenant: str, items: tuple[RequestedItem, ...]
) -> tuple[Upload | Reference, ...]:
    """Return the upload or the reference of each item. Raises UploadUnknown."""
    first = {item.upload_id: number for number, item in reversed(list(enumerate(items))) if item.reference is None}

    def find(upload_id: str) -> Upload:
        try:
            return find_upload(dependencies.storage, tenant, upload_id)
        except UploadUnknown:
            raise UploadUnknown(pointer=pointer("items", first[upload_id], "upload")) from None

    found = dict(zip(first, side_by_side(find, first), strict=True))
    return tuple(item.reference or found[item.upload_id] for item in items)


async def _accept(call: Callable[[], Submission]) -> Submission:
    """Accept the job by `call`. If another request with the same key is being accepted, wait for it."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return await in_thread(call)
        except StillAccepting:
            if time.monotonic() > deadline:
                raise
        await anyio.sleep(_PAUSE_S)


async def answer_accepted(
    request: Request, submission: Submission, wait: int | None = None, *, is_new: bool = False
) -> Response:
    """Return the accepted job in its current state.

    With `wait`, first wait until the job has ended, but at most this many seconds. `is_new` says that this request has
    created the job. If the job has ended by then, the response contains its items, unless they are long.
    """
    note(request, job=submission.id, fingerprint=submission.fingerprint)
    dependencies = dependencies_of(request)
    # A repeat may be of a job that ended so long ago that the ledger has forgotten it.
    if wait and (is_new or not (await in_thread(_known, dependencies, submission)).terminal):
        await until_ended(request, submission.id, wait, is_new=is_new)
    url, caller = job_url(base_of(request), submission.id), caller_of(request)

    def read() -> tuple[JobSnapshot, list[Any] | None]:
        known = _known(dependencies, submission)
        if not wait or not caller.may("read"):
            return known, None
        return known, _items(dependencies, known, url, None if is_new else caller.name)

    known, items = await in_thread(read)
    if items is not None:
        note(request, with_items=True)
    generated = submission.callback is not None and submission.callback.sealed is None
    secret = derive_secret(dependencies.server_key, submission.id) if generated else None
    shown = job_shown(known, base_of(request), secret=secret)
    headers = {"Location": shown.links.self, "Operation-Location": shown.links.self, "Cache-Control": "no-store"}
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
    if not known.terminal:
        headers |= RETRY_AFTER
    body = body_of(shown)
    if items is not None:
        body["items"] = items
    return JSONResponse(body, 200 if known.terminal else 202, headers)


def _known(dependencies: Dependencies, submission: Submission) -> JobSnapshot:
    """Return the job in its current state.

    The job is already accepted, so an error here must not look like a refusal.
    """
    try:
        return find_job(dependencies, submission.tenant, submission.id)
    except (LedgerUnavailable, StorageUnavailable, NotFound):
        return JobSnapshot(submission, None, None)


def _items(dependencies: Dependencies, known: JobSnapshot, url: str, reader: str | None) -> list[Any] | None:
    """Return the items of a short job that has ended, with the reviews that `reader` may see, or None for other jobs.

    If they cannot be read, also return None, because the job is already accepted.
    """
    with suppress(MaskrelayError):
        lines = short_job_items(dependencies, known)
        if lines is not None:
            shown = [item_body(line, url) for line in lines]
            if reader is not None:  # a new job has no reviews
                add_reviews(dependencies, known.id, reader, shown)
            return shown
    return None


async def upload_files(request: Request) -> Response:
    """Upload files to which jobs can refer by id.

    The body is a form with files, or a single file. By default, a job must use an upload within 23 hours.
    """
    dependencies, tenant = dependencies_of(request), tenant_of(request)
    check = byte_check(dependencies, tenant)
    await in_thread(check, max(1, _declared(request)))
    async with incoming_of(dependencies, tenant) as incoming:
        if request_bodies.kind_of(request) == "multipart/form-data":
            await request_bodies.receive_files(request, incoming, dependencies.limits, check)
        else:
            await request_bodies.receive_file(request, incoming, dependencies.limits, check)
        if not incoming.uploads:
            raise NoItems("The form has no file.")
        await in_thread(publish, dependencies, tenant, incoming)
        note(request, uploads=tuple(upload.id for upload in incoming.uploads))
        shown = [UploadShown(id=upload.id, size=upload.size, sha256=upload.sha256) for upload in incoming.uploads]
    return JSONResponse(UploadList(uploads=shown).model_dump(), 201)
