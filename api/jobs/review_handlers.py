"""The handlers of reviews: a reader's verdict on an item, and the summary of all reviews of a job."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.dependencies import Dependencies, caller_of, dependencies_of, in_thread, tenant_of
from api.http.json_pointer import pointer
from api.http.middleware.request_audit import note
from api.jobs.lookup import JobSnapshot, find_job
from api.jobs.review_summary import summary
from api.jobs.stored_reviews import read_reviews, review_shown, write_review
from api.jobs.unflagged_sample import MOST
from maskrelay.contract.json_text import read_json_text
from maskrelay.contract.views.review_views import ReviewAsked
from maskrelay.errors import BodyTooLarge, Malformed, NotFound

ItemNumber = Annotated[int, Path(ge=0, lt=1 << 31, description="The number of the item in the job (`item`).")]
_NO_STORE = {"Cache-Control": "no-store"}
#: The largest body. Each character of a comment can take six bytes of JSON.
_MOST_BYTES = 16 << 10


async def put_review(request: Request, job: str, item: ItemNumber) -> Response:
    """Store your verdict on an item. It replaces your earlier verdict, which is kept in the history.

    You are named by your API key or the subject of your token. A `verdict` of null withdraws your review.
    """
    dependencies = dependencies_of(request)
    await _find_item(dependencies, request, job, item)
    return await _stored(dependencies, request, job, item, await _asked(request))


async def withdraw_review(request: Request, job: str, item: ItemNumber) -> Response:
    """Withdraw your review of an item. The history is kept."""
    dependencies = dependencies_of(request)
    await _find_item(dependencies, request, job, item)
    return await _stored(
        dependencies, request, job, item, ReviewAsked(verdict=None, grade=None, flag=False, comment=None)
    )


async def show_reviews(request: Request, job: str, item: ItemNumber) -> Response:
    """Return your review of an item, and those of other readers if you have reviewed the item yourself."""
    dependencies = dependencies_of(request)
    await _find_item(dependencies, request, job, item)
    shown = await in_thread(read_reviews, dependencies, job, item, caller_of(request).name)
    return JSONResponse(shown.model_dump(mode="json"), headers=_NO_STORE)


async def summarise_reviews(
    request: Request,
    job: str,
    sample: Annotated[int, Query(ge=1, le=MOST, description="The size of the random sample.")] = 50,
) -> Response:
    """Return counts by reader, the agreement of readers (Cohen's κ), and the error rate of items without a flag.

    The error rate is estimated for each reader from the reviews of a random sample of the items that have masks and no
    flag. `GET /v1/jobs/{job}/items?sample=N` lists the sample. Of other readers, only the reviews of items that you
    have reviewed yourself are counted. `reviewed` is the number of items that anyone has reviewed.
    """
    dependencies = dependencies_of(request)
    known = await in_thread(find_job, dependencies, tenant_of(request), job)
    shown = await in_thread(summary, dependencies, known, caller_of(request).name, sample)
    return JSONResponse(shown.model_dump(mode="json"), headers=_NO_STORE)


async def _find_item(dependencies: Dependencies, request: Request, job: str, item: int) -> JobSnapshot:
    """Return the job. Raises NotFound if it has no item with this number."""
    known = await in_thread(find_job, dependencies, tenant_of(request), job)
    if item >= known.counts().total:
        raise NotFound("The job has no item with this number.")
    return known


async def _stored(dependencies: Dependencies, request: Request, job: str, item: int, asked: ReviewAsked) -> Response:
    note(request, item=item)
    review = await in_thread(write_review, dependencies, job, item, caller_of(request).name, asked)
    return JSONResponse(review_shown(review).model_dump(mode="json"), headers=_NO_STORE)


async def _asked(request: Request) -> ReviewAsked:
    """Return the body of the request. Raises Malformed or BodyTooLarge."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise BodyTooLarge(f"A review may have at most {_MOST_BYTES} bytes.")
    try:
        read_json_text(body)
        return ReviewAsked.model_validate_json(body)
    except ValidationError as error:
        places = [(pointer(*place["loc"]), str(place["msg"])) for place in error.errors()]
        raise Malformed("The review cannot be read.", places=places) from None
    except (ValueError, RecursionError):
        raise Malformed("The body must be JSON.") from None
