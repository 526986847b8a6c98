"""A reader of files on web servers."""

import re
from collections.abc import Iterator

import httpcore

from maskrelay.contract.records.source_pins import Pin
from maskrelay.errors import SourceChanged, SourceForbidden, SourceUnavailable, SourceUnpinned
from maskrelay.sources.credential_kinds import WebCredential
from maskrelay.sources.source_reader import SourceFacts
from maskrelay.sources.web_connection import WebConnection, check_status

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
#: The statuses with which some servers refuse HEAD.
_NO_HEAD = frozenset({405, 501})


class HttpsReader:
    """A reader with one credential. See `SourceReader`.

    A file is pinned by its ETag, or by the time of its last change if the server gives no ETag.
    """

    def __init__(self, credential: WebCredential) -> None:
        self._connection = WebConnection(credential)

    def stat(self, url: str) -> SourceFacts:
        with self._connection.response("HEAD", url, {}) as response:
            if response.status not in _NO_HEAD:
                check_status(response.status)
                size, etag = _length(response), _tag(response)
                if size is not None:
                    return SourceFacts(url, size, etag)
        with self._connection.response("GET", url, {"Range": "bytes=0-0"}) as response:
            check_status(response.status)
            found = _RANGE.fullmatch(_field(response, b"content-range"))
            size = int(found[3]) if found else _length(response)
            if size is None:
                raise SourceUnpinned("the server does not give the size of the source")
            return SourceFacts(url, size, _tag(response))

    def stream(self, url: str, pin: Pin, start: int, length: int) -> Iterator[bytes]:
        with self._connection.response("GET", url, {"Range": f"bytes={start}-{start + length - 1}"}) as response:
            if response.status in {412, 416}:  # 416 means that the file is shorter than it was
                raise SourceChanged
            check_status(response.status)
            found = _RANGE.fullmatch(_field(response, b"content-range"))
            size = int(found[3]) if found else _length(response)
            if _tag(response) != pin.etag or (size is not None and size != pin.size):
                raise SourceChanged
            if response.status == 206 and (found is None or int(found[1]) != start):
                raise SourceUnavailable(reason="range")
            skip = 0 if response.status == 206 else start  # a server without ranges sends the whole file
            yield from _cut(response.iter_stream(), skip, length)

    def is_collection(self, url: str) -> bool:  # noqa: ARG002
        return False

    def list(self, url: str, after: str | None, *, pinned: bool = True) -> Iterator[SourceFacts]:  # noqa: ARG002
        raise SourceForbidden("the files of a web server cannot be listed")


def _cut(chunks: Iterator[bytes], skip: int, length: int) -> Iterator[bytes]:
    """Yield `length` bytes after the first `skip` bytes."""
    for chunk in chunks:
        wanted = chunk[skip : skip + length]
        skip = max(0, skip - len(chunk))
        length -= len(wanted)
        if wanted:
            yield wanted
        if length == 0:
            return


def _field(response: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for known, value in response.headers if known.lower() == name), "")


def _length(response: httpcore.Response) -> int | None:
    """Return the size of the file, or None if the header is missing, or gives the size of an encoded form."""
    text = _field(response, b"content-length")
    encoded = _field(response, b"content-encoding") not in {"", "identity"}
    return int(text) if text.isdecimal() and not encoded and response.status == 200 else None


def _tag(response: httpcore.Response) -> str:
    if etag := _field(response, b"etag"):
        return etag
    if modified := _field(response, b"last-modified"):
        return f"modified {modified}"
    raise SourceUnpinned
