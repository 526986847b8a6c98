"""The first part of a `multipart/related` response, read as a stream."""

import re
from collections.abc import Iterator

from maskrelay.errors import SourceUnavailable

_BOUNDARY = re.compile(r"""boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE)
_LENGTH = re.compile(rb"^content-length:\s*(\d{1,18})\s*$", re.IGNORECASE | re.MULTILINE)
#: The longest text before the content of the part, in bytes.
_LONGEST_HEAD = 64 << 10


class FirstPart:
    """The content of the first part. `length` is its declared size, or None."""

    def __init__(self, length: int | None, content: Iterator[bytes]) -> None:
        self.length = length
        self.content = content


def first_part(content_type: str, chunks: Iterator[bytes]) -> FirstPart:
    """Read the headers of the first part. Raises SourceUnavailable if the response is not valid."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise SourceUnavailable(reason="multipart")
    delimiter = b"--" + (found[1] or found[2]).encode()
    head = b""
    for chunk in chunks:
        head += chunk
        begin = head.find(delimiter)
        end = head.find(b"\r\n\r\n", begin) if begin >= 0 else -1
        if end >= 0:
            length = _LENGTH.search(head[begin : end + 2])
            content = _until(b"\r\n" + delimiter, head[end + 4 :], chunks)
            return FirstPart(int(length[1]) if length else None, content)
        if len(head) > _LONGEST_HEAD:
            break
    raise SourceUnavailable(reason="multipart")


def _until(delimiter: bytes, held: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes before the delimiter. Raises SourceUnavailable if there is none, because the response was cut."""
    while (end := held.find(delimiter)) < 0:
        keep = len(delimiter) - 1  # they may be the beginning of the delimiter
        if len(held) > keep:
            yield held[:-keep]
            held = held[-keep:]
        chunk = next(chunks, None)
        if chunk is None:
            raise SourceUnavailable(reason="short")
        held += chunk
    if end:
        yield held[:end]
