"""Every route of the API. The scope checks and the OpenAPI document follow from this table."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from api.auth.scopes import KEYLESS, Access
from api.auth.sign_in import SignInFacts
from api.http.headers import KEY_PATTERN
from api.jobs import (
    artifact_batch,
    deliveries,
    event_streams,
    job_handlers,
    rejected_lines,
    result_tables,
    review_handlers,
)
from api.operations import catalogue, health, metrics, scaling
from api.routes.openapi import JOB_BODY, NOTIFICATION_BODY, REVIEW_BODY, UPLOAD_BODY, WATCH_BODY, Answers, header
from api.routes.route import Route
from api.submissions import redrive, submit, watch_events, watches
from maskrelay.contract.views.dead_letter_views import DeadLetterList, RedriveList
from maskrelay.contract.views.delivery_views import DeliveryList, DeliveryShown
from maskrelay.contract.views.endpoint_views import EndpointList
from maskrelay.contract.views.job_views import ItemList, ItemShown, JobList, JobShown, SubmittedJob, UploadList
from maskrelay.contract.views.review_views import ItemReviews, ReviewShown, ReviewSummary
from maskrelay.contract.views.run_views import RejectedLineList
from maskrelay.contract.views.watch_views import EventsSeen, WatchList, WatchShown
from maskrelay.contract.vocabulary.trained_targets import TargetList

_WAIT = header("Prefer", "`wait=N`: respond when the job has ended, or after N seconds (at most 50).")
_NONE_MATCH = header("If-None-Match", "The `ETag` of your copy. If it is still current, the response is 304.")
_MODIFIED_SINCE = header(
    "If-Modified-Since",
    "The `Last-Modified` of your copy, which files have when the job has ended. Ignored if `If-None-Match` is sent.",
)
_RANGE = header(
    "Range",
    "One byte range (RFC 9110). The response is 206 with that range, or 416 if the file has no byte of it.",
)
_IF_RANGE = header(
    "If-Range", "The `ETag` or `Last-Modified` of your copy. If it is not current, the whole file is sent."
)
_LAST_EVENT = header("Last-Event-ID", "The id of the last event that you have processed. The stream goes on after it.")
_KEY = header(
    "Idempotency-Key",
    "The same request with the same key returns the first job. The key may be in quotes.",
    KEY_PATTERN,
)
_KEY_OF_WATCH = header(
    "Idempotency-Key",
    "The same request with the same key returns the same watch. The key may be in quotes.",
    KEY_PATTERN,
)
_ENDED: Answers = {200: {"model": JobShown, "description": "The job has already ended."}}
_SUBMITTED_AND_ENDED: Answers = {200: {"model": SubmittedJob, "description": "The job has already ended."}}
_NOT_MODIFIED = {"description": "Not modified."}
_LINES = {
    "description": "A page of items. With `Accept: application/x-ndjson`, one item per line.",
    "content": {"application/x-ndjson": {}},
}
_EVENTS: dict[str, Any] = {
    "description": "Events, each with `id`, `event` and `data` (one line of JSON). A comment is sent every 15 s.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILE: dict[str, Any] = {"description": "The file.", "content": {"image/png": _BINARY, "application/json": {}}}
_FILES: Answers = {
    200: _FILE,
    206: {**_FILE, "description": "The requested range of the file."},
    304: _NOT_MODIFIED,
    307: {
        "description": "For a short time, the file is at the URL in `Location`. "
        "Only sent if the operator has enabled it.",
    },
}


_PARTS: Answers = {
    200: {"description": "The files, one in each part.", "content": {"multipart/mixed": _BINARY}},
}


def _table(media_type: str) -> Answers:
    binary = {media_type: _BINARY}
    return {200: {"description": "A table with one row for each mask.", "content": binary}}


ROUTES = (
    Route(
        method="POST",
        path="/v1/jobs",
        handler=submit.submit_job,
        access="submit",
        tag="jobs",
        status=202,
        model=SubmittedJob,
        problems=(400, 409, 410, 413, 415, 422, 429, 503),
        others=_SUBMITTED_AND_ENDED,
        headers=(_KEY, _WAIT),
        body=JOB_BODY,
    ),
    Route(
        method="POST",
        path="/v1/uploads",
        handler=submit.upload_files,
        access="submit",
        tag="uploads",
        status=201,
        model=UploadList,
        problems=(400, 413, 415, 422, 429, 503),
        body=UPLOAD_BODY,
    ),
    Route(
        path="/v1/jobs",
        handler=job_handlers.list_jobs,
        access="read",
        tag="jobs",
        model=JobList,
        problems=(400, 503),
    ),
    Route(
        path="/v1/jobs/{job}",
        handler=job_handlers.show_job,
        access="read",
        tag="jobs",
        model=JobShown,
        problems=(404, 410, 503),
        others={304: _NOT_MODIFIED},
        headers=(_WAIT, _NONE_MATCH),
    ),
    Route(
        method="POST",
        path="/v1/jobs/{job}/cancel",
        handler=job_handlers.cancel_job,
        access="submit",
        tag="jobs",
        status=202,
        model=JobShown,
        problems=(404, 409, 410, 503),
    ),
    Route(
        method="DELETE",
        path="/v1/jobs/{job}",
        handler=job_handlers.delete_job,
        access="admin",  # so that a key that can only submit, for example on a scanner, cannot destroy results
        tag="jobs",
        status=204,
        response=Response,
        problems=(404, 410, 503),
    ),
    Route(
        path="/v1/jobs/{job}/dead-letters",
        handler=redrive.list_dead_letters,
        access="read",
        tag="failures",
        model=DeadLetterList,
        problems=(400, 404, 410, 503),
    ),
    Route(
        path="/v1/jobs/{job}/rejected",
        handler=rejected_lines.list_rejected,
        access="read",
        tag="failures",
        model=RejectedLineList,
        problems=(400, 404, 410, 503),
    ),
    Route(
        method="POST",
        path="/v1/jobs/{job}/redrive",
        handler=redrive.redrive_job,
        access="submit",
        tag="failures",
        status=202,
        model=JobShown,
        problems=(400, 404, 409, 410, 422, 429, 503),
        others=_ENDED,
    ),
    Route(
        method="POST",
        path="/v1/redrive",
        handler=redrive.redrive_jobs,
        access="submit",
        tag="failures",
        status=202,
        model=RedriveList,
        problems=(400, 503),
    ),
    Route(
        path="/v1/jobs/{job}/deliveries",
        handler=deliveries.list_deliveries,
        access="read",
        tag="callbacks",
        model=DeliveryList,
        problems=(404, 410, 503),
    ),
    Route(
        method="POST",
        path="/v1/jobs/{job}/deliveries/{event}/replay",
        handler=deliveries.replay_delivery,
        access="submit",
        tag="callbacks",
        status=202,
        model=DeliveryShown,
        problems=(404, 410, 503),
    ),
    Route(
        path="/v1/jobs/{job}/items",
        handler=job_handlers.list_items,
        access="read",
        tag="results",
        model=ItemList,
        problems=(400, 404, 409, 410, 503),
        others={200: _LINES},
    ),
    Route(
        method="PUT",
        path="/v1/jobs/{job}/items/{item}/review",
        handler=review_handlers.put_review,
        access="submit",
        tag="reviews",
        model=ReviewShown,
        problems=(400, 404, 410, 413, 503),
        body=REVIEW_BODY,
    ),
    Route(
        method="DELETE",
        path="/v1/jobs/{job}/items/{item}/review",
        handler=review_handlers.withdraw_review,
        access="submit",
        tag="reviews",
        model=ReviewShown,
        problems=(400, 404, 410, 503),
    ),
    Route(
        path="/v1/jobs/{job}/items/{item}/review",
        handler=review_handlers.show_reviews,
        access="read",
        tag="reviews",
        model=ItemReviews,
        problems=(400, 404, 410, 503),
    ),
    Route(
        path="/v1/jobs/{job}/reviews",
        handler=review_handlers.summarise_reviews,
        access="read",
        tag="reviews",
        model=ReviewSummary,
        problems=(400, 404, 410, 503),
    ),
    Route(
        path="/v1/jobs/{job}/events",
        handler=event_streams.follow_job,
        access="read",
        tag="events",
        response=StreamingResponse,
        problems=(400, 404, 410, 503),
        others={200: _EVENTS},
        headers=(_LAST_EVENT,),
    ),
    Route(
        path="/v1/events",
        handler=event_streams.follow_jobs,
        access="read",
        tag="events",
        response=StreamingResponse,
        problems=(400, 503),
        others={200: _EVENTS},
        headers=(_LAST_EVENT,),
    ),
    Route(
        path="/v1/jobs/{job}/items/{item}",
        handler=job_handlers.show_item,
        access="read",
        tag="results",
        model=ItemShown,
        problems=(400, 404, 410, 503),
    ),
    Route(
        path="/v1/jobs/{job}/artifacts",
        handler=artifact_batch.send_artifacts,
        access="read",
        tag="results",
        response=StreamingResponse,
        problems=(400, 404, 410, 422, 503),
        others=_PARTS,
    ),
    Route(
        path="/v1/jobs/{job}/artifacts/{name}",
        handler=job_handlers.get_artifact,
        access="read",
        tag="results",
        response=Response,
        problems=(400, 404, 410, 416, 503),
        others=_FILES,
        headers=(_NONE_MATCH, _MODIFIED_SINCE, _RANGE, _IF_RANGE),
    ),
    Route(
        path="/v1/jobs/{job}/results.csv",
        handler=result_tables.send_csv,
        access="read",
        tag="results",
        response=StreamingResponse,
        problems=(404, 409, 410, 503),
        others=_table("text/csv"),
    ),
    Route(
        path="/v1/jobs/{job}/results.parquet",
        handler=result_tables.send_parquet,
        access="read",
        tag="results",
        response=StreamingResponse,
        problems=(404, 409, 410, 503),
        others=_table(result_tables.PARQUET),
    ),
    Route(
        method="POST",
        path="/v1/watches",
        handler=watches.create_watch,
        headers=(_KEY_OF_WATCH,),
        access="submit",
        tag="watches",
        status=201,
        model=WatchShown,
        problems=(400, 413, 415, 422, 503),
        body=WATCH_BODY,
    ),
    Route(
        path="/v1/watches",
        handler=watches.list_watches,
        access="read",
        tag="watches",
        model=WatchList,
        problems=(503,),
    ),
    Route(
        method="DELETE",
        path="/v1/watches/{watch}",
        handler=watches.delete_watch,
        access="submit",
        tag="watches",
        status=204,
        response=Response,
        problems=(404, 503),
    ),
    Route(
        method="POST",
        path="/v1/watches/{watch}/events",
        handler=watch_events.notify_watch,
        access="submit",
        tag="watches",
        model=EventsSeen,
        problems=(400, 404, 413, 415, 422, 503),
        body=NOTIFICATION_BODY,
    ),
    Route(
        path="/v1/endpoints",
        handler=catalogue.list_endpoints,
        access="read",
        tag="operations",
        model=EndpointList,
        problems=(503,),
    ),
    Route(
        path="/v1/sign-in",
        handler=catalogue.show_sign_in,
        access="public",
        tag="operations",
        model=SignInFacts,
    ),
    Route(
        path="/v1/scaling",
        handler=scaling.scaling,
        access="operator",
        tag="operations",
        model=scaling.Scaling,
        problems=(503,),
    ),
    Route(
        path="/v1/prompts",
        handler=catalogue.list_prompts,
        access="read",
        tag="operations",
        model=TargetList,
        problems=(400, 503),
    ),
    Route(
        path="/metrics",
        handler=metrics.metrics,
        access="operator",
        tag="operations",
        response=PlainTextResponse,
    ),
    Route(path="/livez", handler=health.livez, access="public", tag="operations"),
    Route(
        path="/readyz",
        handler=health.readyz,
        access="public",
        tag="operations",
        model=health.Readiness,
        others={503: {"model": health.Readiness}},
    ),
)

ACCESS: Mapping[tuple[str, str], Access] = MappingProxyType({(one.method, one.path): one.access for one in ROUTES})
#: The paths that need no API key, in addition to those of the web page. Of them, an ingress should make only
#: `/openapi.json` and `/v1/sign-in` public.
PUBLIC = frozenset({*(one.path for one in ROUTES if one.access in KEYLESS), "/openapi.json"})
#: The paths that MASKRELAY_METRICS_KEY protects if it is set.
OPERATORS = frozenset(one.path for one in ROUTES if one.access == "operator")
