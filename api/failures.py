"""Routes for failed frames: list a job's dead letters, and redrive them by job, by error or all at once."""

import logging
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.dead_letters import read_dead_letters
from api.jobs import PRIVATE, Cursor, before, listed, next_link
from api.known import Known, look
from api.redrive import redrive
from api.service import Service, base_of, in_thread, service_of, tenant_of
from api.show import body_of, job_shown, job_url
from api.submit import RETRY_AFTER, answer_accepted
from maskrelay.contract.dead_letters import NotRedriven, RedriveList
from maskrelay.contract.shown import ErrorShown
from maskrelay.errors import (
    Conflict,
    Gone,
    LedgerUnavailable,
    NothingToRedrive,
    QuotaReached,
    RecordUnreadable,
    Refused,
    StorageUnavailable,
    code_of,
)

Code = Annotated[str | None, Query(pattern="^[a-z0-9_]{1,40}$", description="An error code. The default is any.")]
log = logging.getLogger(__name__)
_FRESH = {"Cache-Control": "no-store"}


async def list_dead_letters(
    request: Request,
    job: str,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    code: Code = None,
) -> Response:
    """List the job's failed frames and their errors. While the job runs, these are the failures so far."""
    service = service_of(request)
    known = await in_thread(look, service, tenant_of(request), job)
    page = await in_thread(read_dead_letters, service, known, cursor, limit, code)
    url = f"{job_url(base_of(request), job)}/dead-letters"
    headers = {**PRIVATE, **next_link(url, page.next, limit, f"code={code}&" if code else "")}
    return JSONResponse(page.model_dump(mode="json"), headers=headers if known.terminal else headers | RETRY_AFTER)


async def redrive_job(request: Request, job: str, code: Code = None) -> Response:
    """Process the failed items of a finished job again in a new job with the same options, except the deadline.

    Repeating the request returns the same new job. An item with a failed frame is processed again as a whole. Errors
    that a second attempt cannot change, such as `not_an_image`, are left out unless you name them with `code`. With
    `code`, only the items with a frame that failed with this error are processed.
    """
    service = service_of(request)
    known = await in_thread(look, service, tenant_of(request), job)
    submission = await in_thread(redrive, service, known, code, request.state.traceparent)
    return await answer_accepted(request, submission)


async def redrive_jobs(
    request: Request, cursor: Cursor = None, limit: Annotated[int, Query(ge=1, le=200)] = 20, code: Code = None
) -> Response:
    """Process the failed items of one page of the tenant's finished jobs again, newest first.

    The effect on each job is that of `POST /v1/jobs/{job}/redrive`. Follow `next` to process all jobs. `refused` lists
    the jobs whose failed items cannot be processed again, with the reason.
    """
    service, tenant = service_of(request), tenant_of(request)
    page = await in_thread(listed, service, tenant, before(cursor), limit, _itself)
    answer = RedriveList(jobs=[], refused=[_unreadable(job) for job in page.unreadable], next=page.next)
    for known in page.jobs:
        if known.result is not None and known.result.dead is not None:
            await in_thread(_redrive_one, service, known, code, request.state.traceparent, base_of(request), answer)
    told = {**answer.model_dump(mode="json"), "jobs": [body_of(shown) for shown in answer.jobs]}
    return JSONResponse(told, 202, _FRESH)


def _itself(known: Known) -> Known:
    return known


def _unreadable(job: str) -> NotRedriven:
    return NotRedriven(job=job, error=ErrorShown(code=RecordUnreadable.code, detail=RecordUnreadable.message()))


def _redrive_one(
    service: Service, known: Known, code: str | None, traceparent: str | None, base: str, answer: RedriveList
) -> None:
    try:
        new = redrive(service, known, code, traceparent)
        answer.jobs.append(job_shown(look(service, new.tenant, new.id), base))
    except NothingToRedrive:
        return
    except (Conflict, Gone, QuotaReached, Refused) as error:
        told = ErrorShown(code=error.code, detail=error.detail)
        answer.refused.append(NotRedriven(job=known.id, error=told))
    except (LedgerUnavailable, StorageUnavailable):
        raise
    except Exception as error:  # noqa: BLE001 - an unreadable job must not block the others
        log.error("left out of the redrive", extra={"job_id": known.id, "source": "redrive", "code": code_of(error)})  # noqa: TRY400
        answer.refused.append(_unreadable(known.id))
