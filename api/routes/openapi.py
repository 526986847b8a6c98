"""The parts of the OpenAPI document that FastAPI cannot derive from the handlers.

These are the bodies that handlers parse themselves, the problems, and the callbacks as webhooks.
"""

from typing import Any

from fastapi import FastAPI

from api.http.middleware.problems import MEDIA_TYPE, Problem
from api.submissions.parse import PROMPT_PATTERN, JobAsked, RunHeadAsked
from api.submissions.referenced_run import ListingRunAsked, ManifestRunAsked
from api.submissions.watches import WatchAsked
from maskrelay.callbacks.signature import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from maskrelay.contract.records.events import EVENT_TYPES, JobEvent
from maskrelay.contract.views.review_views import ReviewAsked

_REF = {"$ref": "#/components/schemas/Problem"}
_WHY = {
    400: "The request is malformed.",
    401: "The API key or token is missing, unknown or not valid at this time.",
    403: "The API key or token lacks the required scope.",
    404: "Unknown, or owned by another tenant.",
    405: "The method is not supported.",
    409: "The current state does not allow this.",
    410: "Deleted or expired.",
    413: "The body, or a part of it, is too large.",
    415: "The content encoding is not supported.",
    416: "The file has none of the requested bytes.",
    422: "The request is well-formed but refused. `code` says why, and `errors` says where.",
    429: "A quota of the tenant is reached. `code` names the quota, and `Retry-After` says when to try again.",
    503: "Redis, the storage or the token issuer is unavailable. `Retry-After` says when to try again.",
}
_TEXT = {"type": "string"}
Answers = dict[int | str, dict[str, Any]]


def answers(*problems: int, others: Answers | None = None) -> Answers:
    """Return the `responses` of a route. They contain problems with these statuses, and `others`."""
    responses: Answers = dict(others or {})
    for status in problems:
        responses[status] = {"description": _WHY[status], "content": {MEDIA_TYPE: {"schema": _REF}}}
    return responses


def header(name: str, description: str, pattern: str | None = None) -> dict[str, Any]:
    schema = {**_TEXT, "pattern": pattern} if pattern else _TEXT
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


_IMAGES = {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
_FORM = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image", "prompt"],
    "properties": {
        "image": _IMAGES,
        "prompt": {"type": "array", "minItems": 1, "items": {**_TEXT, "pattern": PROMPT_PATTERN}},
        "options": {"$ref": "#/components/schemas/OptionsAsked"},
    },
}
JOB_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": _FORM,
            "encoding": {"image": {"style": "form", "explode": True}, "options": {"contentType": "application/json"}},
        },
        "application/json": {
            "schema": {
                "anyOf": [
                    {"$ref": f"#/components/schemas/{model}"}
                    for model in ("JobAsked", "ManifestRunAsked", "ListingRunAsked")
                ]
            }
        },
        # OpenAPI 3.1 cannot describe the lines of a text.
        "application/x-ndjson": {
            "schema": {
                "type": "string",
                "description": "A run. The first line is `RunHeadAsked`, every further line is `ItemAsked`.",
            }
        },
    },
}
REVIEW_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ReviewAsked"}}},
}
WATCH_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WatchAsked"}}},
}
NOTIFICATION_BODY = {
    "required": False,
    "content": {"application/json": {"schema": {"description": "A notification of the store."}}},
}
UPLOAD_BODY = {
    "required": True,
    "content": {
        # Every part is a file, whatever its name.
        "multipart/form-data": {"schema": {"type": "object", "minProperties": 1, "properties": {"image": _IMAGES}}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}},
    },
}

_EVENT_SUMMARIES = {
    "job.accepted": "The job was accepted.",
    "job.running": "Work on the job has begun.",
    "job.succeeded": "The job has ended, and every item succeeded.",
    "job.partial": "The job has ended, and only some of its work succeeded.",
    "job.failed": "The job has ended, and nothing in it succeeded, or a step of the service failed.",
    "job.cancelled": "The job was cancelled, or its deadline has passed.",
}
_EVENT_HEADERS = (
    (
        ID_HEADER,
        "The id of the event. It is the same in every attempt, so ignore an event whose id you have already processed.",
        "^evt_",
    ),
    (TIMESTAMP_HEADER, "The time at which this attempt was signed, in seconds since 1970-01-01 UTC.", "^[0-9]+$"),
    (
        SIGNATURE_HEADER,
        (
            "One or two signatures, separated by a space. Each is `v1,` and the base64 of an HMAC-SHA256. "
            "Two are sent while a secret is being replaced; accept the request if one of them is valid."
        ),
        "^v1,",
    ),
)
_EVENT_DESCRIPTION = f"""\
This event is sent to `options.callback.url` of the job if its type is one of `options.callback.events`. Its signature
follows Standard Webhooks 1.0.0. To verify it:

1. Decode the part of the secret after `whsec_` from base64. This is the key.
2. Join `{ID_HEADER}`, `{TIMESTAMP_HEADER}` and the raw body with a `.` between them.
3. Compute the HMAC-SHA256 of the result with the key. Compare its base64, in constant time, with what
   follows `v1,`.
4. Refuse the request if `{TIMESTAMP_HEADER}` differs from the current time by more than five minutes.
"""
_EVENT_ANSWERS = {
    "2XX": {"description": "The event counts as delivered."},
    "410": {"description": "No further events of this job are sent."},
    "default": {
        "description": (
            "The event is sent again: there are ten attempts in about three days. "
            "`Retry-After` is respected up to one day. Redirects are not followed."
        )
    },
}


def _webhooks() -> dict[str, Any]:
    """Return the callbacks as webhooks: one for each type of event."""
    parameters = [
        {**header(name, description, pattern), "required": True} for name, description, pattern in _EVENT_HEADERS
    ]
    schema = {"$ref": f"#/components/schemas/{JobEvent.__name__}"}
    return {
        event: {
            "post": {
                "summary": _EVENT_SUMMARIES[event],
                "description": _EVENT_DESCRIPTION,
                "operationId": event.replace(".", "_"),
                "parameters": parameters,
                "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
                "responses": _EVENT_ANSWERS,
                "security": [],
                "tags": ["callbacks"],
            }
        }
        for event in EVENT_TYPES
    }


def describe(app: FastAPI) -> None:
    """Add authentication, the webhooks and the missing schemas to the OpenAPI document of `app`."""
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        document = generated()
        parts = document.setdefault("components", {})
        schemas = parts.setdefault("schemas", {})
        bodies = (JobAsked, RunHeadAsked, ManifestRunAsked, ListingRunAsked, ReviewAsked, WatchAsked)
        for model in (Problem, JobEvent, *bodies):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for operation in (method for path in document["paths"].values() for method in path.values()):
            _drop_the_frameworks_own(operation["responses"])
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
        document["webhooks"] = _webhooks()
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _drop_the_frameworks_own(responses: dict[str, Any]) -> None:
    """Remove the framework's 422 response. In this API, an invalid parameter gives a problem with status 400."""
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]
