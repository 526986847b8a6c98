"""Validate prompts and normalise them to the form that the endpoint accepts."""

import unicodedata
from typing import Any

from api.pointers import pointer
from api.service import Limits
from maskrelay.errors import (
    Malformed,
    NoPrompts,
    PromptEmpty,
    PromptHasAmpersand,
    PromptHasControl,
    PromptTooLong,
    TooManyPrompts,
)

#: Control characters, line and paragraph separators.
_CONTROL = frozenset({"Cc", "Zl", "Zp"})


def check_prompts(prompts: Any, limits: Limits, path: tuple[str | int, ...]) -> tuple[str, ...]:
    """Return the prompts of one item, stripped of surrounding blanks.

    `path`: their location in the request. Raises Malformed, NoPrompts, TooManyPrompts, or the error of an invalid
    prompt.
    """
    if not isinstance(prompts, list):
        raise Malformed("Expected a list of prompts.", pointer=pointer(*path))
    if not prompts:
        raise NoPrompts(pointer=pointer(*path))
    if len(prompts) > limits.prompts:
        raise too_many_prompts(limits, path)
    return tuple(_check(prompt, limits, pointer(*path, place)) for place, prompt in enumerate(prompts))


def too_many_prompts(limits: Limits, path: tuple[str | int, ...]) -> TooManyPrompts:
    return TooManyPrompts(
        f"An item may have at most {limits.prompts} prompts (MASKRELAY_MAX_PROMPTS).", pointer=pointer(*path)
    )


def prompt_too_long(limits: Limits, at: str) -> PromptTooLong:
    return PromptTooLong(
        f"A prompt may have at most {limits.prompt_length} characters (MASKRELAY_MAX_PROMPT_LENGTH).", pointer=at
    )


def _check(prompt: Any, limits: Limits, at: str) -> str:
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
