"""The options of a job. The same model parses them strictly, and describes them in the OpenAPI document."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from api.http.json_pointer import pointer
from maskrelay.callbacks.signature import check_secret
from maskrelay.contract.json_text import DEEPEST, depth_of, read_json_text
from maskrelay.contract.records.events import EVENT_TYPES, TERMINAL_EVENTS, EventType
from maskrelay.contract.records.job import BurnedIn, Identifiers, Lane, PartialSeries, PixelOptions
from maskrelay.contract.records.keys import ENDPOINT_NAME
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.errors import Malformed, NestedTooDeep, OptionInvalid, OptionUnknown
from maskrelay.rules.item_options import (
    BURNED_IN,
    OUTPUTS,
    SQUARE_PIXELS,
    TRUE_OR_FALSE,
    Expected,
    IntensityAsked,
    SliceAxisAsked,
    VolumeAsked,
    one_of,
    what_is_expected,
)

METADATA_BYTES = 16 << 10
_URL_LENGTH = 2048
#: The longest deadline, in seconds.
LONGEST_S = 366 * 86400


def _as_deadline(value: Any) -> timedelta | datetime:
    """Return the number of seconds from acceptance, or a point in time.

    For new jobs, it is checked later that the time is in the future.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_S:
        return timedelta(seconds=value)
    with suppress(ValueError, TypeError, OverflowError):
        at = datetime.fromisoformat(value)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    raise ValueError("Expected a number of seconds, or a time with its offset from UTC (ISO 8601).")


def _as_secrets(value: Any) -> str:
    secrets = value if isinstance(value, list) else [value]
    if not 1 <= len(secrets) <= 2:
        raise ValueError("Expected one secret, or a list of two secrets.")
    try:
        for secret in secrets:
            check_secret(str(secret))
    except OptionInvalid as error:
        raise ValueError(error.detail) from None
    return " ".join(map(str, secrets))


def _check_printable(url: str) -> str:
    if not url.isprintable():
        raise ValueError("A callback needs a URL.")
    return url


def _check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(value, ensure_ascii=False).encode()) > METADATA_BYTES:
        raise ValueError(f"Expected at most {METADATA_BYTES} bytes as JSON.")
    return value


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CallbackAsked(StrictModel):
    """Where and how to send the events of the job."""

    url: Annotated[
        str,
        Field(min_length=1, max_length=_URL_LENGTH),
        AfterValidator(_check_printable),
        Expected("A callback needs a URL."),
    ]
    secret: (
        Annotated[
            str,
            PlainValidator(
                _as_secrets, json_schema_input_type=str | Annotated[list[str], Field(min_length=1, max_length=2)]
            ),
        ]
        | None
    ) = Field(
        None,
        description="`whsec_` followed by the base64 of 24 to 64 bytes. Give a list of two secrets while your receiver "
        "changes from one to the other: each event is then signed with both. If you give none, the service generates "
        "a secret and returns it once.",
    )
    events: Annotated[
        Annotated[list[EventType], Field(min_length=1)] | None,
        Expected(f"Expected a list of {', '.join(EVENT_TYPES)}."),
    ] = Field(None, description=f"Event types from {', '.join(EVENT_TYPES)}. The default is the last four.")


class OptionsAsked(StrictModel):
    outputs: Annotated[
        Annotated[list[Output], Field(min_length=1)] | None,
        Expected(f"Expected a list of {', '.join(get_args(Output))}."),
        OUTPUTS,
    ] = None
    intensity: IntensityAsked = None
    group_series: Annotated[bool, TRUE_OR_FALSE] = Field(
        True, description="Make all DICOM objects of a series into one item."
    )
    partial_series: Annotated[PartialSeries, one_of(PartialSeries)] = Field(
        "fail",
        description="What to do with a series that has gaps. With `fail`, the item fails. With `best_effort`, the "
        "series is segmented as it is. With `hold`, it is also segmented, but the item gets no files of the whole "
        "item and ends as `partial`.",
    )
    slice_axis: SliceAxisAsked = None
    volume: VolumeAsked = None
    square_pixels: Annotated[bool, TRUE_OR_FALSE, SQUARE_PIXELS] = False
    burned_in: Annotated[BurnedIn, one_of(BurnedIn), BURNED_IN] = "warn"
    identifiers: Annotated[Identifiers, one_of(Identifiers)] = Field(
        "uids", description="How results identify DICOM objects."
    )
    callback: CallbackAsked | None = None
    lane: Annotated[Lane | None, one_of(Lane)] = Field(
        None,
        description="The queue. `interactive` accepts only jobs with few items. "
        "The default depends on the number of items.",
    )
    deadline: (
        Annotated[
            timedelta | datetime,
            PlainValidator(_as_deadline, json_schema_input_type=Annotated[float, Field(gt=0, le=LONGEST_S)] | datetime),
        ]
        | None
    ) = Field(
        None,
        description="Seconds from acceptance, or an ISO 8601 time with a UTC offset. "
        "A job that has not ended by then is cancelled.",
    )
    endpoint: Annotated[
        Annotated[str, Field(pattern=f"^{ENDPOINT_NAME.pattern}$")] | None,
        Expected("Expected the name of an endpoint."),
    ] = Field(None, description="The name of the only endpoint to use, as listed by `GET /v1/endpoints`.")
    one_prompt_per_request: Annotated[bool, TRUE_OR_FALSE] = Field(
        False,
        description="Send each prompt in a separate request to the model. "
        "Prompts in the same request influence each other.",
    )
    reuse: Annotated[bool, TRUE_OR_FALSE] = Field(
        True,
        description="Use the answers of earlier scores with the same image, prompts and model version, within your "
        "tenant. Nothing is sent to the model for them.",
    )
    dry_run: Annotated[bool, TRUE_OR_FALSE] = Field(
        False,
        description="Segment nothing. The job plans its items, and ends with a `forecast` instead of results.",
    )
    max_rejected_share: Annotated[Annotated[float, Field(ge=0, le=1)], Expected("Expected a number from 0 to 1.")] = (
        Field(
            0.0,
            description="The share of the lines of a run that may be rejected. With more rejected lines, the run is "
            "refused.",
        )
    )
    store_to: Annotated[
        Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] | None,
        Expected("Expected the name of a credential."),
    ] = Field(
        None,
        description="The name of the credential of a DICOMweb service. When the job has ended, its DICOM segmentations "
        "are sent there (STOW-RS). With the credential of a store, all files of the job are written there.",
    )
    store_prefix: Annotated[str | None, Expected("Expected the URL of a prefix.")] = Field(
        None,
        description="The prefix, such as `s3://bucket/results/`, below which the files are written with the credential "
        "`store_to`. It is required if the credential has several prefixes.",
    )
    store_beside: Annotated[bool, TRUE_OR_FALSE] = Field(
        False,
        description="Write the files of each item into the folder of its source instead, with the credential of a "
        "store as `store_to`. Every source must be below a prefix to which the credential may write, and "
        "`identifiers` must be `uids`.",
    )
    metadata: Annotated[dict[str, Any], AfterValidator(_check_metadata), Expected("Expected a JSON object.")] = Field(
        default={}, description="Your own JSON object, returned with the job. At most 16 KiB."
    )


@dataclass(frozen=True, slots=True)
class CallbackOption:
    """The receiver of a job's events.

    `secret` contains one secret, or two that are separated by a space. It is None if the service
    must generate the secret.
    """

    url: str
    secret: str | None
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a submission."""

    #: The kinds of files to create. If it is empty, the defaults for each source are used.
    outputs: tuple[Output, ...] = ()
    pixels: PixelOptions = field(default_factory=PixelOptions)
    callback: CallbackOption | None = None
    lane: Lane | None = None
    #: The number of seconds from acceptance, or a point in time in UTC.
    deadline: timedelta | datetime | None = None
    endpoint: str | None = None
    one_prompt_per_request: bool = False
    reuse: bool = True
    dry_run: bool = False
    max_rejected_share: float = 0.0
    store_to: str | None = None
    store_prefix: str | None = None
    store_beside: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)


def read_json(body: bytes, at: str) -> Any:
    """Parse the JSON `body`. Raises NestedTooDeep, and Malformed if the value cannot be read or represented."""
    try:
        value = read_json_text(body)
    except (ValueError, RecursionError):
        raise Malformed("The body or field is not valid JSON.", pointer=at) from None
    if depth_of(value) > DEEPEST:
        raise NestedTooDeep(f"JSON may be nested at most {DEEPEST} levels deep.", pointer=at)
    return value


def read_options(value: Any) -> Options:
    """Parse the options from a JSON value. Raises Malformed, OptionUnknown or OptionInvalid."""
    given = members(value, OptionsAsked.model_fields, ("options",))
    if "callback" in given:
        given["callback"] = members(given["callback"], CallbackAsked.model_fields, ("options", "callback"))
    try:
        asked = OptionsAsked.model_validate(given)
    except ValidationError as error:
        raise _refusal(error) from None
    return Options(
        outputs=tuple(output for output in get_args(Output) if output in (asked.outputs or ())),
        pixels=PixelOptions(**{name: getattr(asked, name) for name in PixelOptions.model_fields}),
        callback=_callback(asked.callback) if asked.callback else None,
        lane=asked.lane,
        deadline=asked.deadline,
        endpoint=asked.endpoint,
        one_prompt_per_request=asked.one_prompt_per_request,
        reuse=asked.reuse,
        dry_run=asked.dry_run,
        max_rejected_share=asked.max_rejected_share,
        store_to=asked.store_to,
        store_prefix=asked.store_prefix,
        store_beside=asked.store_beside,
        metadata=asked.metadata,
    )


def members(value: Any, known: Iterable[str], path: tuple[str | int, ...]) -> dict[str, Any]:
    """Return the members of a JSON object. Only known members are allowed. A null member is treated as absent."""
    if not isinstance(value, dict):
        raise Malformed("Expected a JSON object.", pointer=pointer(*path))
    names = frozenset(known)
    for name in value:
        if name not in names:
            raise OptionUnknown(
                f"Unknown name. Expected one of {', '.join(sorted(names))}.", pointer=pointer(*path, name)
            )
    return {name: member for name, member in value.items() if member is not None}


def _callback(asked: CallbackAsked) -> CallbackOption:
    events = TERMINAL_EVENTS if asked.events is None else tuple(one for one in EVENT_TYPES if one in asked.events)
    return CallbackOption(asked.url, asked.secret, events)


def _refusal(error: ValidationError) -> OptionInvalid:
    """Return the error for the first invalid option. It says what is expected and does not quote the value."""
    place = error.errors()[0]
    path = [str(name) for name in place["loc"]][:1]
    option = OptionsAsked.model_fields[path[0]]
    if path == ["callback"]:
        path.append(str(place["loc"][1]))
        option = CallbackAsked.model_fields[path[1]]
    return OptionInvalid(what_is_expected(place, option), pointer=pointer("options", *path))
