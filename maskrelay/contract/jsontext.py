"""Limits on received or stored JSON: the nesting depth, and whether a response can represent it."""

import json
from typing import Any, TypeVar

#: Containers within one another in what a caller sends. The parsers of stored records stop at about 200.
DEEPEST = 32
J = TypeVar("J")


def read_json_text(text: bytes | str) -> Any:
    """The value of a JSON text; raises ValueError for any other text, and for a value that no answer can carry.

    Raises RecursionError for one that is nested far deeper than DEEPEST.
    """
    return check_carried(json.loads(text))


def check_carried(value: J) -> J:
    """The value itself; raises ValueError where JSON in UTF-8 cannot carry it: NaN, 1e999, half a surrogate pair."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep to be written") from None
    return value


def depth_of(value: Any) -> int:
    """How many containers of a JSON value are within one another; 0 for a plain value."""
    depth, level = 0, [value]
    while inner := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [one for box in inner for one in (box.values() if isinstance(box, dict) else box)]
    return depth
