"""Write YAML of mappings, numbers and text, which is all that an endpoint's specification needs."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

#: Text that every YAML parser reads as a string even without quotes.
_PLAIN = re.compile(r"[A-Za-z$][\w$./:-]*[\w/]")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off"}


def as_yaml(mapping: Mapping[str, Any]) -> str:
    """Return nested mappings of text and integers as a YAML document with one entry per line."""
    return "\n".join(_lines(mapping, "")) + "\n"


def _lines(mapping: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{name}: {_scalar(value)}"


def _scalar(value: str | int) -> str:
    if isinstance(value, int) or (_PLAIN.fullmatch(value) and value.lower() not in _WORDS and ": " not in value):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
