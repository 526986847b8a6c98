"""The parser of a submission, which is a form or JSON. Every error names the place of the mistake."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field

from api.dependencies import Limits
from api.http.json_pointer import pointer
from api.submissions.options import Options, OptionsAsked, StrictModel, members, read_json, read_options
from api.submissions.source_references import Reference, read_reference
from api.submissions.uploads import Upload
from maskrelay.contract.records.job import ItemOptions, Lane, PixelOptions
from maskrelay.errors import (
    CustomIdDuplicate,
    LaneForbidden,
    Malformed,
    NoItems,
    TooManyItems,
)
from maskrelay.rules.item_options import ItemOptionsAsked, read_item_options
from maskrelay.rules.lanes import lane_of
from maskrelay.rules.run_lines import checked_custom_id, checked_prompts

#: The pattern of a prompt. It has at least one visible character, no `&` and no control characters.
PROMPT_PATTERN = r"^[^&\x00-\x1f\x7f-\x9f]*[^&\s\x00-\x1f\x7f-\x9f][^&\x00-\x1f\x7f-\x9f]*$"
Prompts = Annotated[list[Annotated[str, Field(pattern=PROMPT_PATTERN)]], Field(min_length=1)]


#: The options that a fingerprint always includes, whatever their values are. Options of later versions are not listed
#: here, and are included only if they differ from their defaults. A request therefore has the same fingerprint before
#: and after an upgrade, and its idempotency key still finds its job.
_ALWAYS_INCLUDED = frozenset(
    {
        *("outputs", "pixels", "callback", "lane", "deadline", "endpoint", "one_prompt_per_request", "metadata"),
        *("intensity", "group_series", "partial_series", "slice_axis", "volume", "square_pixels", "burned_in"),
        "identifiers",
    }
)


class ItemAsked(StrictModel):
    upload: str | None = Field(None, description="An id from `POST /v1/uploads`. An item has this or a `source`.")
    source: str | None = Field(
        None,
        description="The URL of a source by reference: `s3://`, `az://`, `abfss://`, `gs://`, `file://` or `https://`. "
        "The service reads it when the job runs.",
    )
    credential: str | None = Field(
        None,
        description="The name of the credential with which the source is read. The default is the one whose prefix "
        "contains the source.",
    )
    custom_id: str | None = Field(None, description="Unique within the job. The default is the item's index.")
    prompts: Prompts | None = Field(None, description="The prompts of this item, instead of those of the job.")
    options: ItemOptionsAsked | None = Field(None, description="The options of this item, which override the job's.")


class JobAsked(StrictModel):
    items: list[ItemAsked] = Field(min_length=1)
    prompts: Prompts | None = None
    options: OptionsAsked | None = None


class RunHeadAsked(StrictModel):
    """The first line of a run, which may be left out. Every other line is an item."""

    prompts: Prompts | None = Field(None, description="The prompts of items without their own.")
    options: OptionsAsked | None = None


@dataclass(frozen=True, slots=True)
class RequestedItem:
    """One item of a request. In a form, the uploads have the same order as the items, and `upload_id` is empty."""

    custom_id: str
    prompts: tuple[str, ...]
    upload_id: str = ""
    reference: Reference | None = None
    options: ItemOptions | None = None


@dataclass(frozen=True, slots=True)
class SubmissionRequest:
    """A complete submission. `sources` contains the source of each item, in order."""

    items: tuple[RequestedItem, ...]
    sources: tuple[Upload | Reference, ...]
    options: Options

    @property
    def uploads(self) -> tuple[Upload, ...]:
        return tuple(source for source in self.sources if isinstance(source, Upload))

    def lane(self) -> Lane:
        """Return the lane of the job. Raises LaneForbidden."""
        return lane_for(self.options, len(self.items))

    def fingerprint(self) -> str:
        """Return a hash of options, prompts and sources. It does not depend on the format of the request."""
        fingerprint = Fingerprint()
        for item, source in zip(self.items, self.sources, strict=True):
            fingerprint.add(*source.identity(), item.custom_id, item.prompts, options=item.options)
        return fingerprint.of(self.options)


def lane_for(options: Options, total: int) -> Lane:
    """Return the lane of a job with these options and `total` items. Raises LaneForbidden."""
    try:
        return lane_of(options.lane, total)
    except LaneForbidden as error:
        raise LaneForbidden(error.detail, pointer=pointer("options", "lane")) from None


class Fingerprint:
    """A hash of the items and options of a request, to which the items are added one by one."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(b'{"items": [')
        self._separator = b""

    def add(self, *identity: Any, options: ItemOptions | None = None) -> None:
        """Add the next item. `identity` and its options contain everything that distinguishes it from another item."""
        if options is not None:  # an item without options has the same fingerprint as before items could have some
            identity = (*identity, options.model_dump(mode="json", exclude_none=True))
        self._hash.update(self._separator + json.dumps(identity, ensure_ascii=False).encode())
        self._separator = b", "

    def of(self, options: Options) -> str:
        """Return the fingerprint of a request with the items that were added, and these options."""
        identifying = identifying_options(asdict(options), asdict(Options()))
        identifying["pixels"] = identifying_options(options.pixels.model_dump(), PixelOptions().model_dump())
        canonical = json.dumps(identifying, sort_keys=True, ensure_ascii=False, default=str)
        whole = self._hash.copy()
        whole.update(f'], "options": {canonical}}}'.encode())
        return whole.hexdigest()


def identifying_options(options: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the options that belong to a fingerprint."""
    return {name: value for name, value in options.items() if name in _ALWAYS_INCLUDED or value != defaults[name]}


def read_form(fields: dict[str, list[bytes]], images: int, limits: Limits) -> tuple[tuple[RequestedItem, ...], Options]:
    """Parse the items and options of a form with this number of images. Each item has all prompts of the form."""
    raw_options = fields["options"]
    options = read_options(read_json(raw_options[0], pointer("options"))) if raw_options else Options()
    _check_total(images, limits)
    prompts = checked_prompts(
        [_text(raw, place) for place, raw in enumerate(fields["prompt"])], limits, pointer("prompt")
    )
    return tuple(RequestedItem(str(number), prompts) for number in range(images)), options


def read_body(value: Any, limits: Limits) -> tuple[tuple[RequestedItem, ...], Options]:
    """Return the items and options of a JSON body, in which items refer to uploads or to other sources."""
    given = members(value, JobAsked.model_fields, ())
    options = read_options(given.get("options", {}))
    items = given.get("items", [])
    if not isinstance(items, list):
        raise Malformed("Expected a list of items.", pointer=pointer("items"))
    _check_total(len(items), limits)
    shared = checked_prompts(given["prompts"], limits, pointer("prompts")) if "prompts" in given else None
    asked = tuple(_item(item, number, shared, limits) for number, item in enumerate(items))
    _check_custom_ids(asked, items)
    return asked, options


def _item(item: Any, number: int, shared: tuple[str, ...] | None, limits: Limits) -> RequestedItem:
    here = ("items", number)
    given = members(item, ItemAsked.model_fields, here)
    reference = read_reference(given, here) if "source" in given else None
    if reference is None and not isinstance(given.get("upload"), str):
        raise Malformed("An item needs the id of its upload, or a source.", pointer=pointer(*here, "upload"))
    prompts = shared
    if shared is None or "prompts" in given:
        prompts = checked_prompts(given.get("prompts", []), limits, pointer(*here, "prompts"))
    assert prompts is not None
    custom_id = checked_custom_id(given.get("custom_id", str(number)), pointer(*here, "custom_id"))
    options = read_item_options(given["options"], pointer(*here, "options")) if "options" in given else None
    return RequestedItem(custom_id, prompts, given.get("upload", ""), reference, options)


def _check_custom_ids(asked: Sequence[RequestedItem], items: Sequence[Any]) -> None:
    """Raise CustomIdDuplicate if two items have the same custom id.

    If the request gives an item no custom id, the item's index is used.
    """
    first: dict[str, int] = {}
    for number, item in enumerate(asked):
        if item.custom_id in first:
            other = first[item.custom_id]
            given = number if items[number].get("custom_id") is not None else other
            detail = f"Items {other} and {number} have the same custom_id."
            raise CustomIdDuplicate(detail, pointer=pointer("items", given, "custom_id"))
        first[item.custom_id] = number


def _check_total(total: int, limits: Limits) -> None:
    if total == 0:
        raise NoItems
    if total > limits.items:
        raise TooManyItems(
            f"A job may have at most {limits.items} items (MASKRELAY_MAX_ITEMS).", pointer=pointer("items")
        )


def _text(raw: bytes, place: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Malformed("A prompt must be UTF-8 text.", pointer=pointer("prompt", place)) from None
