"""Checks of JSON that is received or stored: how deep it is nested, and whether a response can represent it."""

import json
from typing import Any, TypeVar

#: The deepest nesting of objects and arrays that a caller may send. It is far below the limit of the parsers of stored
#: records, which accept about 200 levels.
DEEPEST = 32
J = TypeVar("J")


def read_json_text(text: bytes | str) -> Any:
    """Parse a JSON text. Raises ValueError for invalid JSON and for a value that no response can represent.

    Raises RecursionError for a value that is nested far deeper than DEEPEST.
    """
    return check_carried(json.loads(text))


def check_carried(value: J) -> J:
    """Return the value. Raises ValueError if JSON in UTF-8 cannot represent it, such as NaN or very deep nesting."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep to be written") from None
    return value


def depth_of(value: Any) -> int:
    """Return how many levels of objects and arrays a JSON value has. A string or a number has 0 levels."""
    depth, level = 0, [value]
    while inner := [value for value in level if isinstance(value, dict | list)]:
        depth += 1
        level = [value for box in inner for value in (box.values() if isinstance(box, dict) else box)]
    return depth
