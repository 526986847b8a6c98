"""Removal of the base64-encoded maps from a response before it is parsed as JSON.

The maps are megabytes long. The rest of the response can be parsed in microseconds.

The removal does not change the meaning of the response. A text is removed only if it is valid base64 and is all the
text between two consecutive double quotes. No character of base64 has a special meaning in JSON, or in JSON inside a
JSON string. The same is true of the characters of the placeholder that replaces the text. Therefore, the response with
placeholders is valid JSON if and only if the original response is valid JSON, and the values of the two differ only in
the placeholders. The parser replaces a placeholder by its map only where base64 is expected, and it checks that every
placeholder was found.
"""

import re
import secrets
from collections.abc import Iterator

import pybase64

#: The key `data` and the quote at the beginning of its value. There may be backslashes, because the JSON may be inside
#: JSON strings.
_BEFORE = re.compile(rb'data\\*"\s*:\s*\\*"')
_BACKSLASH = 0x5C
_WORTHWHILE = 4096  # shorter values are not removed
#: The prefix of the placeholders. It is random, so no response contains it. It is longer than any text of a response
#: that the parser returns, such as a category.
_MARK = secrets.token_hex(48)


def hollow(body: bytes | bytearray) -> tuple[bytes, dict[str, bytes]]:
    """Replace the maps in the body by placeholders. Return the new body, and the decoded maps by placeholder.

    Raises ValueError if a long value of `data` is not valid base64 without line breaks.
    """
    pieces: list[bytes | bytearray] = []
    taken: dict[str, bytes] = {}
    kept = 0
    for start, end in _stretches(body):
        mark = f"{_MARK}{len(taken):x}"
        taken[mark] = pybase64.b64decode(memoryview(body)[start:end], validate=True)
        pieces += (body[kept:start], mark.encode())
        kept = end
    pieces.append(body[kept:])
    return b"".join(pieces), taken


def _stretches(body: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each long value of `data`.

    Backslashes before the closing quote are not part of the value.
    """
    place = 0
    while before := _BEFORE.search(body, place):
        start = before.end()
        place = body.find(b'"', start)
        if place < 0:
            return
        end = place
        while end > start and body[end - 1] == _BACKSLASH:
            end -= 1
        if end - start >= _WORTHWHILE:
            yield start, end
