"""The rules for one line of a run, and for the prompts and the custom id of any submitted item."""

import unicodedata
from dataclasses import dataclass
from typing import Any, Protocol

from maskrelay.contract.json_text import read_json_text
from maskrelay.contract.records.job import ItemOptions
from maskrelay.errors import (
    LineInvalid,
    Malformed,
    NoPrompts,
    OptionInvalid,
    OptionUnknown,
    PromptEmpty,
    PromptHasAmpersand,
    PromptHasControl,
    PromptTooLong,
    TooManyPrompts,
)
from maskrelay.rules.item_options import OF_WHOLE_JOB, of_whole_job, read_item_options

#: The longest line, in bytes.
LINE_BYTES = 64 << 10
CUSTOM_ID_LENGTH = 256
#: Control characters, and line and paragraph separators.
_CONTROL = frozenset({"Cc", "Zl", "Zp"})
_MEMBERS = frozenset({"custom_id", "upload", "source", "credential", "prompts", "options"})


class PromptLimits(Protocol):
    """The limits of an item's prompts: their number, and the number of characters of each."""

    @property
    def prompts(self) -> int: ...

    @property
    def prompt_length(self) -> int: ...


@dataclass(frozen=True, slots=True)
class RunLine:
    """A line of a run. Either `upload` or `source` is None."""

    custom_id: str
    prompts: tuple[str, ...]
    upload: str | None = None
    source: str | None = None
    credential: str | None = None
    options: ItemOptions | None = None


def line_value(raw: bytes | None) -> Any:
    """Parse the JSON of a line. None stands for a line that is too long. Raises LineInvalid."""
    if raw is None:
        raise LineInvalid(f"A line may have at most {LINE_BYTES} bytes.")
    try:
        return read_json_text(raw)
    except (ValueError, RecursionError):
        raise LineInvalid("The line is not valid JSON.") from None


def is_item(value: Any) -> bool:
    """Return whether a line is meant to be an item, and not the head of the run."""
    return isinstance(value, dict) and bool(value.keys() & {"upload", "source"})


def read_line(value: Any, default_id: str, shared: tuple[str, ...] | None, limits: PromptLimits) -> RunLine:
    """Return the item that a line stands for.

    `shared` are the prompts of items without their own. The pointers of errors are relative to the line. Raises
    LineInvalid, Malformed, OptionUnknown, OptionInvalid, or the error of a custom id or of a prompt.
    """
    if not isinstance(value, dict):
        raise LineInvalid("Expected a JSON object.")
    for name in value.keys() - _MEMBERS:
        if name in OF_WHOLE_JOB:
            raise OptionUnknown(of_whole_job(name), pointer=f"#/{name}")
        raise OptionUnknown(f"Unknown name. Expected one of {', '.join(sorted(_MEMBERS))}.", pointer=_at(name))
    given = {name: member for name, member in value.items() if member is not None}
    if ("upload" in given) == ("source" in given):
        raise LineInvalid("An item needs either an upload or a source.")
    for name in ("upload", "source", "credential"):
        if not isinstance(given.get(name, ""), str):
            raise Malformed("Expected text.", pointer=_at(name))
    prompts = (
        shared
        if shared is not None and "prompts" not in given
        else checked_prompts(given.get("prompts", []), limits, "#/prompts")
    )
    custom_id = checked_custom_id(given.get("custom_id", default_id), "#/custom_id")
    options = read_item_options(given["options"], "#/options") if "options" in given else None
    return RunLine(custom_id, prompts, given.get("upload"), given.get("source"), given.get("credential"), options)


def _at(name: str) -> str:
    return f"#/{name}" if name in _MEMBERS else "#"


def checked_custom_id(value: Any, at: str) -> str:
    """Return a custom id, which is at the JSON pointer `at`. Raises Malformed or OptionInvalid."""
    if not isinstance(value, str):
        raise Malformed("A custom_id must be text.", pointer=at)
    if not 0 < len(value) <= CUSTOM_ID_LENGTH or not value.isprintable():
        raise OptionInvalid(f"A custom_id must have 1 to {CUSTOM_ID_LENGTH} printable characters.", pointer=at)
    return value


def checked_prompts(prompts: Any, limits: PromptLimits, at: str) -> tuple[str, ...]:
    """Return the prompts of one item, without surrounding spaces. `at` is the JSON pointer to them.

    Raises Malformed, NoPrompts or TooManyPrompts, or the error of an invalid prompt.
    """
    if not isinstance(prompts, list):
        raise Malformed("Expected a list of prompts.", pointer=at)
    if not prompts:
        raise NoPrompts(pointer=at)
    if len(prompts) > limits.prompts:
        raise too_many_prompts(limits, at)
    return tuple(_checked(prompt, limits, f"{at}/{place}") for place, prompt in enumerate(prompts))


def too_many_prompts(limits: PromptLimits, at: str) -> TooManyPrompts:
    return TooManyPrompts(f"An item may have at most {limits.prompts} prompts (MASKRELAY_MAX_PROMPTS).", pointer=at)


def prompt_too_long(limits: PromptLimits, at: str) -> PromptTooLong:
    detail = f"A prompt may have at most {limits.prompt_length} characters (MASKRELAY_MAX_PROMPT_LENGTH)."
    return PromptTooLong(detail, pointer=at)


def _checked(prompt: Any, limits: PromptLimits, at: str) -> str:
    if not isinstance(prompt, str):
        raise Malformed("A prompt must be text.", pointer=at)
    plain = prompt.strip()
    if not plain:
        raise PromptEmpty(pointer=at)
    if len(plain) > limits.prompt_length:
        raise prompt_too_long(limits, at)
    if "&" in plain:
        raise PromptHasAmpersand(pointer=at)
    if any(unicodedata.category(letter) in _CONTROL for letter in plain):
        raise PromptHasControl(pointer=at)
    return plain
