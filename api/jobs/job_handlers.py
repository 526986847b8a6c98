"""The handlers of requests that read, cancel and delete jobs."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Path, Query
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
from api.http.headers import (
    PRIVATE,
    RETRY_AFTER,
    byte_range,
    http_date,
    none_match,
    not_modified,
    wait_asked,
    wants_lines,
)
from api.http.json_pointer import pointer
from api.http.pagination import cursor_of, next_link, places_of
from api.jobs import actions, artifacts
from api.jobs.item_reviews import ReviewState, add_reviews, reviewed_page
from api.jobs.items import ItemPage, read_from, read_grid, read_ignored, read_item, read_page
from api.jobs.long_poll import until_ended
from api.jobs.lookup import JobSnapshot, find_job
from api.jobs.representation import (
    body_of,
    etag_of,
    ignored_shown,
    item_body,
    job_shown,
    job_url,
)
from api.jobs.unflagged_sample import MOST
from maskrelay.contract.records import keys
from maskrelay.contract.records.planned_items import IgnoredFile
from maskrelay.errors import Gone, LedgerUnavailable, Malformed, NotFound, StorageUnavailable, code_of
from maskrelay.ledger.job_transitions import ListedJob

Cursor = Annotated[str | None, Query(max_length=200, description="The value of `next` from the previous page.")]
Flag = Annotated[
    str | None,
    Query(
        pattern="^[a-z0-9_]{1,40}$",
        description="Only items with a mask that has this flag; `any`: items with a flag; `none`: items without one.",
    ),
]
Rle = Annotated[bool, Query(description="Whether each mask has its run lengths (`rle`).")]
#: The greatest number of an item, and the greatest place in a list.
_LAST = 999_999_999
T = TypeVar("T")
log = logging.getLogger(__name__)
_LISTED = "j"
#: A job, and the moment of its creation, which the cursors of earlier versions lack.
_CURSORS = {_LISTED: re.compile(rf"{keys.ID.pattern}(\.[0-9]{{1,15}})?")}


async def show_job(request: Request, job: str) -> Response:
    """Return one job.

    With `Prefer: wait=N`, the response comes when the job has ended, or after N seconds (at most 50). With
    `If-None-Match`, the response is 304 if nothing has changed.
    """
    dependencies = dependencies_of(request)
    wait = wait_asked(request.headers)
    known = await in_thread(find_job, dependencies, tenant_of(request), job)
    if wait and not known.terminal:
        await until_ended(request, job, wait)
        known = await in_thread(find_job, dependencies, tenant_of(request), job)
    etag = etag_of(known)
    headers = {**PRIVATE, "ETag": etag}
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
    if not known.terminal:
        headers |= RETRY_AFTER
    if none_match(request.headers, etag):
        return Response(status_code=304, headers=headers)
    return JSONResponse(body_of(job_shown(known, base_of(request))), headers=headers)


async def list_jobs(
    request: Request, cursor: Cursor = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> Response:
    """List the tenant's jobs, newest first."""
    dependencies, tenant, base = dependencies_of(request), tenant_of(request), base_of(request)
    page = await in_thread(listed, dependencies, tenant, before(cursor), limit, partial(_shown, base=base))
    headers = {**PRIVATE, **next_link(f"{base}/v1/jobs", page.next, limit)}
    unreadable = {"unreadable": page.unreadable} if page.unreadable else {}
    return JSONResponse({"jobs": page.jobs, "next": page.next, **unreadable}, headers=headers)


def _shown(known: JobSnapshot, base: str) -> Any:
    return body_of(job_shown(known, base))


def before(cursor: str | None) -> ListedJob | None:
    """Return the job after which a page of the list begins. Raises Malformed."""
    if cursor is None:
        return None
    _, (job, *created) = places_of(cursor, _CURSORS)
    return ListedJob(job, int(created[0]) if created else None)


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A page of a tenant's jobs, newest first. `unreadable` lists the jobs on the page whose records cannot be used."""

    jobs: list[T]
    unreadable: list[str]
    next: str | None


def listed(
    dependencies: Dependencies, tenant: str, before: ListedJob | None, limit: int, use: Callable[[JobSnapshot], T]
) -> Listed[T]:
    """Return the result of `use` for each job on a page. An unreadable job does not affect the others."""
    jobs = dependencies.ledger.jobs.listed(tenant, before, limit + 1)
    page = jobs[:limit]
    unreadable: list[str] = []

    def read(job: str) -> list[T]:
        try:
            return [use(find_job(dependencies, tenant, job))]
        except (NotFound, Gone):
            return []
        except (LedgerUnavailable, StorageUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - a stored record may contain anything
            log.error("left out of the list", extra={"job_id": job, "source": "list", "code": code_of(error)})  # noqa: TRY400
            unreadable.append(job)
            return []

    found = [result for of_job in side_by_side(read, [job.id for job in page]) for result in of_job]
    following = cursor_of(_LISTED, f"{page[-1].id}.{page[-1].created_ms}") if len(jobs) > limit else None
    return Listed(found, sorted(unreadable), following)


async def list_items(
    request: Request,
    job: str,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    flag: Flag = None,
    rle: Rle = False,
    offset: Annotated[int | None, Query(ge=0, le=_LAST, description="Begin at this place instead of a cursor.")] = None,
    order: Annotated[
        Literal["suspicion"] | None,
        Query(description="Items with a flag first, and the most suspicious one at the top."),
    ] = None,
    review: Annotated[ReviewState | None, Query(description="Only items on which your own verdict is this.")] = None,
    sample: Annotated[
        int | None, Query(ge=1, le=MOST, description="Only the random sample of so many items without a flag.")
    ] = None,
) -> Response:
    """List the job's items.

    While the job runs, these are the completed items in order of completion. When it has ended, these are all items in
    the order of the submission. `next` is null if there are no more items at present. A page of a running job may have
    fewer items than `limit`, or none, and still have a `next`. On the first page, unless `flag` is given, `ignored`
    lists the files that did not become items, if there are any.

    With `Accept: application/x-ndjson`, the response has one item per line. With `flag`, it has only the items with a
    mask that has this flag; when the job has ended, the most suspicious item comes first. `offset` and `order` are only
    possible when the job has ended, and not together with the other filters. `sample` is possible when the job has
    ended. An item that you have reviewed has your `review`, and the `reviews` of other readers.
    """
    dependencies, tenant = dependencies_of(request), tenant_of(request)
    url = job_url(base_of(request), job)
    reader, filters = caller_of(request).name, {"flag": flag, "review": review, "sample": sample}
    given = {name: value for name, value in filters.items() if value is not None}

    def read() -> tuple[JobSnapshot, ItemPage, list[Any], list[IgnoredFile]]:
        known = find_job(dependencies, tenant, job)
        if offset is not None or order is not None:
            if cursor is not None or given:
                raise Malformed(
                    "offset and order cannot be combined with cursor or a filter.", pointer=pointer("query")
                )
            page = read_from(dependencies, known, offset or 0, limit, by_suspicion=order is not None)
        elif review is not None or sample is not None:
            page = reviewed_page(
                dependencies, known, cursor, limit, reader=reader, flag=flag, review=review, sample=sample
            )
        else:
            page = read_page(dependencies, known, cursor, limit, flag)
        shown = [item_body(line, url, rle=rle) for line in page.lines]
        add_reviews(dependencies, job, reader, shown)
        is_first = cursor is None and not given and not wants_lines(request.headers)
        return known, page, shown, read_ignored(dependencies, known) if is_first else []

    known, page, shown, ignored = await in_thread(read)
    only = "".join(f"{name}={value}&" for name, value in given.items())
    headers = {**PRIVATE, **next_link(f"{url}/items", page.next, limit, only)}
    if not known.terminal:
        headers |= RETRY_AFTER
    if wants_lines(request.headers):
        lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in shown)
        return Response(lines, headers=headers, media_type="application/x-ndjson")
    body: dict[str, Any] = {"items": shown, "next": page.next}
    if ignored:
        body["ignored"] = [body_of(ignored_shown(file)) for file in ignored]
    return JSONResponse(body, headers=headers)


async def show_item(
    request: Request, job: str, item: Annotated[int, Path(ge=0, le=_LAST)], rle: Rle = False
) -> Response:
    """Return one item by its number, with the provenance of each frame, and the grid of its label volume.

    While the job runs, the item has only the frames that are completed.
    """
    dependencies, tenant = dependencies_of(request), tenant_of(request)

    def read() -> tuple[JobSnapshot, Any]:
        known = find_job(dependencies, tenant, job)
        line = read_item(dependencies, known, item)
        body = item_body(line, job_url(base_of(request), job), rle=rle, provenance=True)
        if grid := read_grid(dependencies, known, line):
            body["grid"] = body_of(grid)
        add_reviews(dependencies, job, caller_of(request).name, [body])
        return known, body

    known, body = await in_thread(read)
    return JSONResponse(body, headers=PRIVATE if known.terminal else PRIVATE | RETRY_AFTER)


async def get_artifact(
    request: Request,
    job: str,
    name: str,
    redirect: Annotated[
        bool, Query(description="Whether the response may be 307 with an address in the store.")
    ] = True,
) -> Response:
    """Return a file of the job: one to which its items link or, when the job has ended, `result.json`."""
    dependencies = dependencies_of(request)
    known, artifact = await in_thread(artifacts.find, dependencies, tenant_of(request), job, name)
    headers = {**PRIVATE, "ETag": f'"{artifact.ref.sha256}"'}
    # A file may be replaced until the job has ended, and never afterwards.
    modified = known.result.finished_at if known.result is not None else None
    if modified is not None:
        headers["Last-Modified"] = http_date(modified)
    if not_modified(request.headers, headers["ETag"], modified):
        return Response(status_code=304, headers=headers)
    may_redirect = redirect and dependencies.presigned_lifetime
    if may_redirect and (address := await in_thread(artifacts.elsewhere, dependencies, artifact)):
        named = {"Location": address, "Content-Disposition": artifacts.disposition(artifact.human_name)}
        return Response(status_code=307, headers={**headers, **named, "Cache-Control": "no-store"})
    headers["Accept-Ranges"] = "bytes"
    part = byte_range(request.headers, artifact.ref.length, headers["ETag"], modified)
    return await artifacts.answer(dependencies, artifact, headers, part, head=getattr(request.state, "head", False))


async def cancel_job(request: Request, job: str) -> Response:
    """Cancel a job.

    No new work is started. Existing results remain available. While the job is being cancelled, repeating the
    request also returns 202.
    """
    dependencies = dependencies_of(request)
    known = await in_thread(find_job, dependencies, tenant_of(request), job)
    known = await in_thread(actions.cancel, dependencies, known)
    shown = job_shown(known, base_of(request))
    headers = {"Location": shown.links.self, "Cache-Control": "no-store"}
    return JSONResponse(body_of(shown), 202, headers if known.terminal else headers | RETRY_AFTER)


async def delete_job(request: Request, job: str) -> Response:
    """Delete a job, whether it is running or not.

    From then on, every request for the job returns 410. All its objects are removed from storage.
    """
    await in_thread(actions.delete, dependencies_of(request), job, caller_of(request))
    return Response(status_code=204, headers={"Cache-Control": "no-store"})
