"""The handler that lists the rejected lines of a run."""

import re
from itertools import islice
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.dependencies import Dependencies, base_of, dependencies_of, in_thread, tenant_of
from api.http.headers import PRIVATE
from api.http.pagination import cursor_of, next_link, places_of
from api.jobs.job_handlers import Cursor
from api.jobs.lookup import JobSnapshot, find_job
from api.jobs.representation import job_url
from maskrelay.contract.views.run_views import RejectedLineList, RejectedLineShown
from maskrelay.storage.submitted_items import read_rejected

#: A cursor is a position in the rejected lines: the number of the chunk, and the place among its rejected lines.
_PLACE = "r"
_CURSORS = {_PLACE: re.compile(r"[0-9]{1,6}\.[0-9]{1,9}")}


async def list_rejected(
    request: Request, job: str, cursor: Cursor = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> Response:
    """List the lines of a run that did not become items, in order, each with the reason.

    The list of any other job is empty.
    """
    dependencies = dependencies_of(request)
    known = await in_thread(find_job, dependencies, tenant_of(request), job)
    page = await in_thread(_page, dependencies, known, cursor, limit)
    url = f"{job_url(base_of(request), job)}/rejected"
    return JSONResponse(page.model_dump(), headers={**PRIVATE, **next_link(url, page.next, limit)})


def _page(dependencies: Dependencies, known: JobSnapshot, cursor: str | None, limit: int) -> RejectedLineList:
    chunk, place = map(int, places_of(cursor, _CURSORS)[1]) if cursor else (0, 0)
    run = known.submission.run
    if run is None:
        return RejectedLineList(rejected=[])
    found = list(islice(read_rejected(dependencies.storage, run.chunks, chunk, place), limit + 1))
    following = cursor_of(_PLACE, f"{found[limit][0]}.{found[limit][1]}") if len(found) > limit else None
    shown = [RejectedLineShown(**line.model_dump()) for _, _, line in found[:limit]]
    return RejectedLineList(rejected=shown, next=following)
