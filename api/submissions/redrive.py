"""The handlers that list the failed frames of a job, and submit its failed items again as a new job.

The old result never changes.
"""

import hashlib
import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.dependencies import (
    Dependencies,
    base_of,
    dependencies_of,
    in_thread,
    side_by_side,
    tenant_of,
)
from api.http.headers import PRIVATE, RETRY_AFTER
from api.http.pagination import next_link
from api.jobs.dead_letters import letters_of, read_dead_letters
from api.jobs.job_handlers import Cursor, before, listed
from api.jobs.lookup import JobSnapshot, find_job
from api.jobs.representation import body_of, job_shown, job_url
from api.submissions import accept, idempotency
from api.submissions.job_fields import check_targets
from api.submissions.submit import answer_accepted
from maskrelay.callbacks.sealing import resealed
from maskrelay.contract.records import keys
from maskrelay.contract.records.dead_letter_records import DeadLetter
from maskrelay.contract.records.job import (
    INTERACTIVE_ITEMS,
    Item,
    Result,
    Submission,
    accepted_at,
)
from maskrelay.contract.records.source_pins import is_reference
from maskrelay.contract.views.dead_letter_views import NotRedriven, RedriveList
from maskrelay.contract.views.job_views import ErrorShown
from maskrelay.contract.vocabulary.trained_targets import prompt_warnings
from maskrelay.errors import (
    Conflict,
    Gone,
    LedgerUnavailable,
    NotEnded,
    NothingToRedrive,
    ObjectMissing,
    QuotaReached,
    RecordUnreadable,
    Refused,
    StorageUnavailable,
    UploadGone,
    code_of,
)
from maskrelay.rules.redrive_selection import is_redriven, items_again
from maskrelay.storage.protocol import has
from maskrelay.storage.submitted_items import read_items

Code = Annotated[str | None, Query(pattern="^[a-z0-9_]{1,40}$", description="An error code. The default is any.")]
log = logging.getLogger(__name__)
_FRESH = {"Cache-Control": "no-store"}
#: The detail of NotEnded for a job that ended without a result.
_HALTED = (
    "The job has no result, because one of its steps failed repeatedly. It cannot be redriven, but an operator can "
    "resume it with `maskrelay recover`."
)


def redrive(dependencies: Dependencies, known: JobSnapshot, code: str | None, traceparent: str | None) -> Submission:
    """Return the job that runs the failed items of this job again. With `code`, only items with this error are run.

    Errors that a second attempt cannot change (for example, the file is not an image) are left out unless `code` names
    them. The new job's id is derived from the old job and the code, so a repeat returns the same job.

    Raises NotEnded, NothingToRedrive, UploadGone or StillAccepting. Raises Gone if the new job was deleted, or if the
    old one is being deleted. It also raises the errors that a submission raises for an endpoint, a callback or a quota.
    If it raises LedgerUnavailable or StorageUnavailable, nothing was accepted.
    """
    dependencies.ledger.scripts.check_writable()
    if known.result is None:
        raise NotEnded(None if known.halted is None else _HALTED)
    job = _id_of(dependencies, known.id, code)
    found = idempotency.earlier(dependencies, job)
    if found is not None:
        return found
    with idempotency.reserved(dependencies, job):
        try:
            return _accept(dependencies, known.submission, known.result, code, job, traceparent)
        except ObjectMissing:  # the job's objects are being removed
            raise Gone from None


def _accept(
    dependencies: Dependencies, old: Submission, result: Result, code: str | None, job: str, traceparent: str | None
) -> Submission:
    items = _failed_items(dependencies, old, result, code)
    callback_url = old.callback.url if old.callback else None
    check_targets(dependencies, old.tenant, old.endpoint, callback_url)
    _check_uploads(dependencies, {item.source for item in items if not is_reference(item.source)})
    submission = _submission(dependencies, old, items, code, job, traceparent)
    with accept.room_kept(dependencies, submission):
        # This marker is written before the new job is accepted, so that every redrive of the old job is listed.
        dependencies.storage.put(keys.redriven(old.id, job), b"")
        accept.prepare(dependencies, submission, items)
        return submission if accept.stand(dependencies, submission) else idempotency.standing(dependencies, job)


def _id_of(dependencies: Dependencies, job: str, code: str | None) -> str:
    """Return the id of the new job.

    It is derived from text that begins with NUL, so it cannot collide with the id of an idempotency key, which is
    derived from text that begins with the name of a tenant.
    """
    return idempotency.derived_id(dependencies, f"\0redrive\0{job}\0{code or ''}".encode())


def _failed_items(dependencies: Dependencies, old: Submission, result: Result, code: str | None) -> list[Item]:
    letters = (letter for _, letter in letters_of(dependencies, result) if is_redriven(letter, code))
    items = items_again(read_items(dependencies.storage, old), letters, _members(dependencies, old.id))
    if not items:
        raise NothingToRedrive
    return items


def _members(dependencies: Dependencies, job: str) -> Callable[[DeadLetter], tuple[str, ...]]:
    def members_of(letter: DeadLetter) -> tuple[str, ...]:
        item = dependencies.archive.item_of(job, letter.frame)
        return item.members if item is not None else ()

    return members_of


def _check_uploads(dependencies: Dependencies, uploads: set[str]) -> None:
    """Raise UploadGone if an upload is missing.

    Uploads are kept as long as a job uses them, so a missing upload was removed by another program.
    """
    there = side_by_side(lambda upload: has(dependencies.storage, upload), uploads)
    if missing := there.count(False):
        raise UploadGone(f"{missing} of {len(uploads)} uploads that the failed items need are no longer there.")


def _submission(
    dependencies: Dependencies, old: Submission, items: list[Item], code: str | None, job: str, traceparent: str | None
) -> Submission:
    """Return the new submission: a copy of the old one with these items."""
    inline = len(items) <= INTERACTIVE_ITEMS
    now = datetime.now(UTC)
    changed = {
        "id": job,
        "created_at": accepted_at(now),
        "warnings": prompt_warnings([prompt for item in items for prompt in item.prompts]),
        "callback": resealed(dependencies.server_keys, old.callback, old.id, job),
        "total": len(items),
        "items": tuple(items) if inline else (),
        "run": None,
        "items_key": None if inline else keys.items(job, secrets.token_hex(8)),
        "fingerprint": hashlib.sha256(f"{old.id} {code or ''}".encode()).hexdigest(),
        "deadline": None,  # the deadline applied to the old job only
        "redrive_of": old.id,
        "traceparent": traceparent,
    }
    return old.model_copy(update=changed)


async def list_dead_letters(
    request: Request,
    job: str,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    code: Code = None,
) -> Response:
    """List the job's failed frames and their errors.

    While the job runs, these are the frames that have failed so far. A page may then have fewer frames than `limit`, or
    none, and still have a `next`.
    """
    dependencies = dependencies_of(request)
    known = await in_thread(find_job, dependencies, tenant_of(request), job)
    page = await in_thread(read_dead_letters, dependencies, known, cursor, limit, code)
    url = f"{job_url(base_of(request), job)}/dead-letters"
    headers = {**PRIVATE, **next_link(url, page.next, limit, f"code={code}&" if code else "")}
    return JSONResponse(page.model_dump(mode="json"), headers=headers if known.terminal else headers | RETRY_AFTER)


async def redrive_job(request: Request, job: str, code: Code = None) -> Response:
    """Run the failed items of a finished job again, as a new job with the same options, except the deadline.

    Repeating the request returns the same new job. An item with a failed frame is run again as a whole. Errors that a
    second attempt cannot change, such as `not_an_image`, are left out unless you name them with `code`. With `code`,
    only the items with a frame that failed with this error are run.
    """
    dependencies = dependencies_of(request)
    known = await in_thread(find_job, dependencies, tenant_of(request), job)
    submission = await in_thread(redrive, dependencies, known, code, request.state.traceparent)
    return await answer_accepted(request, submission)


async def redrive_jobs(
    request: Request, cursor: Cursor = None, limit: Annotated[int, Query(ge=1, le=200)] = 20, code: Code = None
) -> Response:
    """Go through one page of the tenant's jobs, newest first, and run the failed items of the finished ones again.

    The effect on each job is that of `POST /v1/jobs/{job}/redrive`. Follow `next` to go through all jobs. `refused`
    lists the jobs whose failed items cannot be run again, with the reason.
    """
    dependencies, tenant = dependencies_of(request), tenant_of(request)
    page = await in_thread(listed, dependencies, tenant, before(cursor), limit, _itself)
    answer = RedriveList(jobs=[], refused=[_unreadable(job) for job in page.unreadable], next=page.next)
    for known in page.jobs:
        if known.result is not None and known.result.dead is not None:
            await in_thread(
                _redrive_one, dependencies, known, code, request.state.traceparent, base_of(request), answer
            )
    body = {**answer.model_dump(mode="json"), "jobs": [body_of(shown) for shown in answer.jobs]}
    return JSONResponse(body, 202, _FRESH)


def _itself(known: JobSnapshot) -> JobSnapshot:
    return known


def _unreadable(job: str) -> NotRedriven:
    return NotRedriven(job=job, error=ErrorShown(code=RecordUnreadable.code, detail=RecordUnreadable.message()))


def _redrive_one(
    dependencies: Dependencies,
    known: JobSnapshot,
    code: str | None,
    traceparent: str | None,
    base: str,
    answer: RedriveList,
) -> None:
    try:
        new = redrive(dependencies, known, code, traceparent)
        answer.jobs.append(job_shown(find_job(dependencies, new.tenant, new.id), base))
    except NothingToRedrive:
        return
    except (Conflict, Gone, QuotaReached, Refused) as error:
        shown_error = ErrorShown(code=error.code, detail=error.detail)
        answer.refused.append(NotRedriven(job=known.id, error=shown_error))
    except (LedgerUnavailable, StorageUnavailable):
        raise
    except Exception as error:  # noqa: BLE001 - an unreadable job must not stop the others
        log.error("left out of the redrive", extra={"job_id": known.id, "source": "redrive", "code": code_of(error)})  # noqa: TRY400
        answer.refused.append(_unreadable(known.id))
