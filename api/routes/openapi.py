"""The parts of the OpenAPI document that the signatures of the handlers do not provide.

These are the bodies that handlers parse themselves, the problems, and the callbacks as webhooks.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from api.http.middleware.problems import MEDIA_TYPE, Problem
from api.submissions.options import LONGEST_S
from maskrelay.callbacks.signature import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from maskrelay.contract.records.events import EVENT_TYPES, JobEvent
from maskrelay.contract.records.job import Lane
from maskrelay.contract.vocabulary.intensity_names import Intensity
from maskrelay.contract.vocabulary.outputs import Output

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
#: The pattern of a prompt. It has at least one visible character, no `&` and no control characters.
_PROMPT = r"^[^&\x00-\x1f\x7f-\x9f]*[^&\s\x00-\x1f\x7f-\x9f][^&\x00-\x1f\x7f-\x9f]*$"
Prompts = Annotated[list[Annotated[str, Field(pattern=_PROMPT)]], Field(min_length=1)]


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CallbackAsked(StrictModel):
    """Where and how to send the events of the job."""

    url: str
    secret: str | list[str] | None = Field(
        None,
        description="`whsec_` followed by the base64 of 24 to 64 bytes. Give a list of two secrets while your receiver "
        "changes from one to the other: each event is then signed with both. If you give none, the service generates "
        "a secret and returns it once.",
    )
    events: list[str] | None = Field(
        None, description=f"Event types from {', '.join(EVENT_TYPES)}. The default is the last four."
    )


class OptionsAsked(StrictModel):
    outputs: list[Output] | None = Field(
        None, description="The files to create. The default depends on the kind of source."
    )
    intensity: Intensity | None = Field(
        None,
        description="The name of a preset, or limits in the units of the source. "
        "The default depends on the modality and the body part.",
    )
    group_series: bool = Field(True, description="Make all DICOM objects of a series into one item.")
    partial_series: Literal["fail", "best_effort", "hold"] = Field(
        "fail",
        description="What to do with a series that has gaps. With `fail`, the item fails. With `best_effort`, the "
        "series is segmented as it is. With `hold`, it is also segmented, but the item gets no files of the whole "
        "item and ends as `partial`.",
    )
    slice_axis: Literal["axial", "coronal", "sagittal", 0, 1, 2] | None = Field(
        None, description="The axis along which a NIfTI volume is cut into slices. The default is axial."
    )
    volume: int | None = Field(None, ge=0, description="The index of the volume in a 4-D NIfTI file.")
    square_pixels: bool = Field(False, description="Stretch pixels that are not square, so that they become square.")
    burned_in: Literal["allow", "warn", "refuse"] = Field(
        "warn", description="What to do with images that may contain burned-in text."
    )
    identifiers: Literal["uids", "hashed", "none"] = Field("uids", description="How results identify DICOM objects.")
    callback: CallbackAsked | None = None
    lane: Lane | None = Field(
        None,
        description="The queue. `interactive` accepts only jobs with few items. "
        "The default depends on the number of items.",
    )
    deadline: Annotated[float, Field(gt=0, le=LONGEST_S)] | datetime | None = Field(
        None,
        description="Seconds from acceptance, or an ISO 8601 time with a UTC offset. "
        "A job that has not ended by then is cancelled.",
    )
    endpoint: str | None = Field(
        None, description="The name of the only endpoint to use, as listed by `GET /v1/endpoints`."
    )
    one_prompt_per_request: bool = Field(
        False,
        description="Send each prompt in a separate request to the model. "
        "Prompts in the same request influence each other.",
    )
    metadata: dict[str, Any] = Field(
        default={}, description="Your own JSON object, returned with the job. At most 16 KiB."
    )


class ItemAsked(StrictModel):
    upload: str = Field(description="An id from `POST /v1/uploads`.")
    custom_id: str | None = Field(None, description="Unique within the job. The default is the item's index.")
    prompts: Prompts | None = Field(None, description="The prompts of this item, instead of those of the job.")


class JobAsked(StrictModel):
    items: list[ItemAsked] = Field(min_length=1)
    prompts: Prompts | None = None
    options: OptionsAsked | None = None


Answers = dict[int | str, dict[str, Any]]


def answers(*problems: int, others: Answers | None = None) -> Answers:
    """Return the `responses` of a route: the problems with these statuses, and `others`."""
    told: Answers = dict(others or {})
    for status in problems:
        told[status] = {"description": _WHY[status], "content": {MEDIA_TYPE: {"schema": _REF}}}
    return told


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
        "prompt": {"type": "array", "minItems": 1, "items": {**_TEXT, "pattern": _PROMPT}},
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
        "application/json": {"schema": {"$ref": "#/components/schemas/JobAsked"}},
    },
}
UPLOAD_BODY = {
    "required": True,
    "content": {
        # The parts are files, whatever their names.
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
    """Complete the OpenAPI document of `app` with the schemas that are referenced above, and with authentication."""
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        document = generated()
        parts = document.setdefault("components", {})
        schemas = parts.setdefault("schemas", {})
        for model in (Problem, JobAsked, JobEvent):
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
