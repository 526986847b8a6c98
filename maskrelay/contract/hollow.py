"""An answer without its maps: megabytes of base64 taken out, so that what remains is parsed in microseconds.

Why it is safe: a stretch is taken out only between a double quote and the next one, and only if it is base64 through
and through. None of its characters means anything to JSON, nor to JSON inside a JSON string, and neither do those of
the mark put in its place. So what remains parses if and only if the whole does, to the same values, with the mark
where the stretch was. The parser exchanges a mark only where it looks for base64, and each of them has to be found.
"""

import re
import secrets
from collections.abc import Iterator

import pybase64

# The key, and the quotes of a string at any depth of nesting.
_BEFORE = re.compile(rb'data\\*"\s*:\s*\\*"')
_BACKSLASH = 0x5C
_WORTHWHILE = 4096  # shorter stretches stay where they are
#: Unlike anything an endpoint may send, and longer than any word that is kept of an answer.
_MARK = secrets.token_hex(48)


def hollow(body: bytes | bytearray) -> tuple[bytes, dict[str, bytes]]:
    """What remains of the body, and the decoded bytes by their marks.

    Raises ValueError where a stretch under `data` is not plain base64 in one piece.
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
    """Where long strings under `data` begin and end, without the backslashes that may belong to the closing quote."""
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
