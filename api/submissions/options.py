"""Parse the options of a job strictly, so that a misspelt option is reported."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from pydantic import ValidationError

from api.http.json_pointer import pointer
from maskrelay.callbacks.signature import check_secret
from maskrelay.contract.json_text import DEEPEST, depth_of, read_json_text
from maskrelay.contract.records.events import EVENT_TYPES, TERMINAL_EVENTS
from maskrelay.contract.records.job import Lane, PixelOptions
from maskrelay.contract.records.keys import ENDPOINT_NAME
from maskrelay.contract.vocabulary.intensity_names import Intensity, read_intensity
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.errors import Malformed, NestedTooDeep, OptionInvalid, OptionUnknown

METADATA_BYTES = 16 << 10
_URL_LENGTH = 2048
_SECRET = ("callback", "secret")
#: The longest deadline, in seconds.
LONGEST_S = 366 * 86400
_EXPECTED = {
    "group_series": "Expected true or false.",
    "partial_series": "Expected one of fail, best_effort, hold.",
    "slice_axis": "Expected one of axial, coronal, sagittal, or the number of a voxel axis (0, 1 or 2).",
    "volume": "Expected the index of a volume, starting from 0.",
    "square_pixels": "Expected true or false.",
    "burned_in": "Expected one of allow, warn, refuse.",
    "identifiers": "Expected one of uids, hashed, none.",
}


@dataclass(frozen=True, slots=True)
class CallbackOption:
    """Where events are sent. `secret` contains one secret or two, separated by a space, or None if one
    is to be derived.
    """

    url: str
    secret: str | None
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a submission."""

    #: The files to create. If it is empty, the defaults for each source are created.
    outputs: tuple[Output, ...] = ()
    pixels: PixelOptions = field(default_factory=PixelOptions)
    callback: CallbackOption | None = None
    lane: Lane | None = None
    #: A time from acceptance, or a point in time in UTC.
    deadline: timedelta | datetime | None = None
    endpoint: str | None = None
    one_prompt_per_request: bool = False
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
    readers: dict[str, Callable[[Any], Any]] = {
        "outputs": _outputs,
        "callback": _callback,
        "lane": _lane,
        "deadline": _deadline,
        "endpoint": _endpoint,
        "one_prompt_per_request": _one_prompt_per_request,
        "metadata": _metadata,
    }
    given = members(value, frozenset(readers) | PixelOptions.model_fields.keys(), ("options",))
    of_pixels = {name: given.pop(name) for name in PixelOptions.model_fields if name in given}
    read = {name: readers[name](given_value) for name, given_value in given.items()}
    return Options(**read, pixels=read_pixel_options(of_pixels))


def members(value: Any, known: frozenset[str], path: tuple[str | int, ...]) -> dict[str, Any]:
    """Return the members of a JSON object that may have only the known ones. A null member is treated as absent."""
    if not isinstance(value, dict):
        raise Malformed("Expected a JSON object.", pointer=pointer(*path))
    for name in value:
        if name not in known:
            raise OptionUnknown(
                f"Unknown name. Expected one of {', '.join(sorted(known))}.", pointer=pointer(*path, name)
            )
    return {name: member for name, member in value.items() if member is not None}


def _outputs(value: Any) -> tuple[Output, ...]:
    known = get_args(Output)
    if not isinstance(value, list) or not value or any(output not in known for output in value):
        raise _invalid(f"Expected a list of {', '.join(known)}.", "outputs")
    return tuple(output for output in known if output in value)


def _lane(value: Any) -> Lane:
    if value not in get_args(Lane):
        raise _invalid(f"Expected one of {', '.join(get_args(Lane))}.", "lane")
    lane: Lane = value
    return lane


def _deadline(value: Any) -> timedelta | datetime:
    """Return seconds from acceptance, or a point in time. Only for new jobs must it be in the future."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_S:
        return timedelta(seconds=value)
    with suppress(ValueError, TypeError, OverflowError):
        at = datetime.fromisoformat(value)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    raise _invalid("Expected a number of seconds, or a time with its offset from UTC (ISO 8601).", "deadline")


def _endpoint(value: Any) -> str:
    if not isinstance(value, str) or not ENDPOINT_NAME.fullmatch(value):
        raise _invalid("Expected the name of an endpoint.", "endpoint")
    return value


def _one_prompt_per_request(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _invalid("Expected true or false.", "one_prompt_per_request")
    return value


def _metadata(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid("Expected a JSON object.", "metadata")
    if len(json.dumps(value, ensure_ascii=False).encode()) > METADATA_BYTES:
        raise _invalid(f"Expected at most {METADATA_BYTES} bytes as JSON.", "metadata")
    return value


def _callback(value: Any) -> CallbackOption:
    given = members(value, frozenset({"url", "secret", "events"}), ("options", "callback"))
    url = given.get("url")
    if not isinstance(url, str) or not 0 < len(url) <= _URL_LENGTH or not url.isprintable():
        raise _invalid("A callback needs a URL.", "callback", "url")
    return CallbackOption(url, _secret(given.get("secret")), _events(given.get("events")))


def _secret(value: Any) -> str | None:
    if value is None:
        return None
    secrets = value if isinstance(value, list) else [value]
    if not 1 <= len(secrets) <= 2:
        raise _invalid("Expected one secret, or a list of two secrets.", *_SECRET)
    try:
        for secret in secrets:
            check_secret(str(secret))
    except OptionInvalid as error:
        raise _invalid(error.detail, *_SECRET) from None
    return " ".join(map(str, secrets))


def _events(value: Any) -> tuple[str, ...]:
    if value is None:
        return TERMINAL_EVENTS
    if not isinstance(value, list) or not value or any(event not in EVENT_TYPES for event in value):
        raise _invalid(f"Expected a list of {', '.join(EVENT_TYPES)}.", "callback", "events")
    return tuple(event for event in EVENT_TYPES if event in value)


def _invalid(detail: str, *path: str) -> OptionInvalid:
    return OptionInvalid(detail, pointer=pointer("options", *path))


def read_pixel_options(given: dict[str, Any]) -> PixelOptions:
    """Parse the options about pixels from JSON values. Raises OptionInvalid with the name of the option."""
    if "intensity" in given:
        given = {**given, "intensity": _intensity(given["intensity"])}
    try:
        return PixelOptions.model_validate(given, strict=True)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise OptionInvalid(_EXPECTED[name], pointer=pointer("options", name)) from None


def _intensity(value: Any) -> Intensity:
    try:
        return read_intensity(value)
    except ValueError as error:
        raise OptionInvalid(str(error), pointer=pointer("options", "intensity")) from None
