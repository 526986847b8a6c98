"""All paths of the API, with their handlers and their descriptions in the OpenAPI document.

Read this module first, then `openapi`.
"""

from typing import Any

from fastapi import FastAPI
from starlette.responses import PlainTextResponse, Response

from api.http.headers import KEY_PATTERN
from api.jobs import deliveries, job_handlers
from api.operations import (
    catalogue,
    health,
    metrics,
    scaling,
)
from api.routes.openapi import (
    JOB_BODY,
    UPLOAD_BODY,
    Answers,
    answers,
    header,
)
from api.submissions import redrive, submit
from maskrelay.contract.views.dead_letter_views import DeadLetterList, RedriveList
from maskrelay.contract.views.delivery_views import DeliveryList, DeliveryShown
from maskrelay.contract.views.endpoint_views import EndpointList
from maskrelay.contract.views.job_views import (
    ItemList,
    JobList,
    JobShown,
    UploadList,
)
from maskrelay.contract.vocabulary.trained_targets import TargetList

_WAIT = header("Prefer", "`wait=N`: respond when the job has ended, or after N seconds (at most 50).")
_ELSEWHERE = {
    "description": "For a short time, the file is at the URL in `Location`. Only sent if the operator has enabled it."
}
_NONE_MATCH = header("If-None-Match", "The `ETag` of your copy. If it is still current, the response is 304.")
_RANGE = header(
    "Range",
    "One byte range (RFC 9110). The response is 206 with that range, or 416 if the file has no byte of it.",
)
_KEY = header(
    "Idempotency-Key",
    "The same request with the same key returns the first job. The key may be in quotes.",
    KEY_PATTERN,
)
_READ = (401, 403, 404, 410, 503)
_ENDED: Answers = {200: {"model": JobShown, "description": "The job has already ended."}}
_PUBLIC: dict[str, Any] = {"security": []}


def add_routes(app: FastAPI) -> None:
    _add_submitting(app)
    _add_jobs(app)
    _add_ending(app)
    _add_failures(app)
    _add_deliveries(app)
    _add_results(app)
    app.add_api_route(
        "/v1/endpoints",
        catalogue.list_endpoints,
        response_model=EndpointList,
        responses=answers(401, 403, 503),
        tags=["operations"],
    )
    app.add_api_route(
        "/v1/scaling",
        scaling.scaling,
        response_model=scaling.Scaling,
        responses=answers(401, 503),
        openapi_extra=_PUBLIC,
        tags=["operations"],
    )
    app.add_api_route(
        "/v1/prompts",
        catalogue.list_prompts,
        response_model=TargetList,
        responses=answers(400, 401, 403, 503),
        tags=["operations"],
    )
    app.add_api_route(
        "/metrics",
        metrics.metrics,
        response_class=PlainTextResponse,
        responses=answers(401),
        openapi_extra=_PUBLIC,
        tags=["operations"],
    )
    app.add_api_route("/livez", health.livez, openapi_extra=_PUBLIC, tags=["operations"])
    app.add_api_route(
        "/readyz",
        health.readyz,
        response_model=health.Readiness,
        responses={503: {"model": health.Readiness}},
        openapi_extra=_PUBLIC,
        tags=["operations"],
    )


def _add_submitting(app: FastAPI) -> None:
    app.add_api_route(
        "/v1/jobs",
        submit.submit_job,
        methods=["POST"],
        status_code=202,
        response_model=JobShown,
        responses=answers(
            400,
            401,
            403,
            409,
            410,
            413,
            415,
            422,
            429,
            503,
            others=_ENDED,
        ),
        openapi_extra={"requestBody": JOB_BODY, "parameters": [_KEY, _WAIT]},
        tags=["jobs"],
    )
    app.add_api_route(
        "/v1/uploads",
        submit.upload_files,
        methods=["POST"],
        status_code=201,
        response_model=UploadList,
        responses=answers(400, 401, 403, 413, 415, 422, 429, 503),
        openapi_extra={"requestBody": UPLOAD_BODY},
        tags=["uploads"],
    )


def _add_jobs(app: FastAPI) -> None:
    app.add_api_route(
        "/v1/jobs", job_handlers.list_jobs, response_model=JobList, responses=answers(400, 401, 403, 503), tags=["jobs"]
    )
    app.add_api_route(
        "/v1/jobs/{job}",
        job_handlers.show_job,
        response_model=JobShown,
        responses=answers(*_READ, others={304: {"description": "Not modified."}}),
        openapi_extra={"parameters": [_WAIT, _NONE_MATCH]},
        tags=["jobs"],
    )
    app.add_api_route(
        "/v1/jobs/{job}/cancel",
        job_handlers.cancel_job,
        methods=["POST"],
        status_code=202,
        response_model=JobShown,
        responses=answers(401, 403, 404, 409, 410, 503),
        tags=["jobs"],
    )


def _add_ending(app: FastAPI) -> None:
    app.add_api_route(
        "/v1/jobs/{job}",
        job_handlers.delete_job,
        methods=["DELETE"],
        status_code=204,
        response_class=Response,
        responses=answers(401, 403, 404, 410, 503),
        tags=["jobs"],
    )


def _add_failures(app: FastAPI) -> None:
    app.add_api_route(
        "/v1/jobs/{job}/dead-letters",
        redrive.list_dead_letters,
        response_model=DeadLetterList,
        responses=answers(400, *_READ),
        tags=["failures"],
    )
    app.add_api_route(
        "/v1/jobs/{job}/redrive",
        redrive.redrive_job,
        methods=["POST"],
        status_code=202,
        response_model=JobShown,
        responses=answers(400, 401, 403, 404, 409, 410, 422, 429, 503, others=_ENDED),
        tags=["failures"],
    )
    app.add_api_route(
        "/v1/redrive",
        redrive.redrive_jobs,
        methods=["POST"],
        status_code=202,
        response_model=RedriveList,
        responses=answers(400, 401, 403, 503),
        tags=["failures"],
    )


def _add_deliveries(app: FastAPI) -> None:
    app.add_api_route(
        "/v1/jobs/{job}/deliveries",
        deliveries.list_deliveries,
        response_model=DeliveryList,
        responses=answers(401, 403, 404, 410, 503),
        tags=["callbacks"],
    )
    app.add_api_route(
        "/v1/jobs/{job}/deliveries/{event}/replay",
        deliveries.replay_delivery,
        methods=["POST"],
        status_code=202,
        response_model=DeliveryShown,
        responses=answers(401, 403, 404, 410, 503),
        tags=["callbacks"],
    )


def _add_results(app: FastAPI) -> None:
    lines = {
        "description": "A page of items. With `Accept: application/x-ndjson`, one item per line.",
        "content": {"application/x-ndjson": {}},
    }
    app.add_api_route(
        "/v1/jobs/{job}/items",
        job_handlers.list_items,
        response_model=ItemList,
        responses=answers(400, *_READ, others={200: lines}),
        tags=["results"],
    )
    binary = {"schema": {"type": "string", "format": "binary"}}
    files = {"description": "The file.", "content": {"image/png": binary, "application/json": {}}}
    app.add_api_route(
        "/v1/jobs/{job}/artifacts/{name}",
        job_handlers.get_artifact,
        response_class=Response,
        responses=answers(
            *_READ,
            416,
            others={
                200: files,
                206: {**files, "description": "The requested range of the file."},
                304: {"description": "Not modified."},
                307: _ELSEWHERE,
            },
        ),
        openapi_extra={"parameters": [_NONE_MATCH, _RANGE]},
        tags=["results"],
    )
