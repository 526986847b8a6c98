"""Cut the base64 maps out of a response: megabytes are removed, so that the rest is parsed in microseconds.

Why this is safe: a stretch is removed only between a double quote and the next one, and only if it is base64
throughout. None of its characters has a meaning in JSON, or in JSON inside a JSON string, and neither have those of
the placeholder that replaces it. So the rest parses if and only if the whole does, to the same values, with the
placeholder in place of the stretch. The parser resolves a placeholder only where it expects base64, and every
placeholder must be found.
"""

import re
import secrets
from collections.abc import Iterator

import pybase64

# The key, and the quotes of a string at any depth of nesting.
_BEFORE = re.compile(rb'data\\*"\s*:\s*\\*"')
_BACKSLASH = 0x5C
_WORTHWHILE = 4096  # shorter stretches are not removed
#: The prefix of placeholders: unlike anything an endpoint may send, and longer than any text kept of a response.
_MARK = secrets.token_hex(48)


def hollow(body: bytes | bytearray) -> tuple[bytes, dict[str, bytes]]:
    """Return the rest of the body, and the decoded bytes by their placeholders.

    Raises ValueError if a stretch under `data` is not plain base64 in one piece.
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
    """The ranges of long strings under `data`, without backslashes that may belong to the closing quote."""
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
