"""The receiver of several artifacts in one response, as `multipart/mixed` (RFC 2046)."""

from collections.abc import Sequence
from urllib.parse import urlencode

import httpx

from maskrelay.client.artifact_body import ArtifactBody
from maskrelay.errors import ServiceAnswerUnknown
from maskrelay.network.response_bodies import Decoder

#: The largest body, and the longest head of a part, in bytes.
_MOST_BYTES, _LONGEST_HEAD = 64 << 30, 16 << 10
#: The most digits of the length of a file.
_LONGEST_LENGTH = 18
_END_OF_HEAD = b"\r\n\r\n"


def address_of(links: Sequence[str]) -> str:
    """Return the address under which a service has the artifacts with these links together."""
    folder = links[0].rpartition("/")[0]
    return f"{folder}?{urlencode([('name', link.rpartition('/')[2]) for link in links])}"


class ArtifactParts:
    """A receiver that passes each part of a response to the next of `bodies`. A part says how long its file is.

    `complete` is the number of bodies that have arrived as a whole. If something else than these files arrives, the
    rest of the response is ignored, so that the other files can be fetched one by one.
    """

    def __init__(self, bodies: Sequence[ArtifactBody]) -> None:
        self._bodies = bodies
        self._head = bytearray()
        self._parts = iter(bodies)
        self._file: ArtifactBody | None = None
        self._left = 0
        self._is_damaged = False
        self.complete: int = 0

    def receive(self, _status: int, headers: httpx.Headers) -> "ArtifactParts":
        """Return the receiver of the response, which is requested once."""
        self._decoder = Decoder(headers, _MOST_BYTES)
        return self

    def feed(self, piece: bytes) -> None:
        for decoded in self._decoder.feed(piece):
            rest = bytes(decoded)
            while rest and not self._is_damaged:
                rest = self._fed(rest) if self._left else self._begun(rest)

    def end(self) -> None:
        self._decoder.end()

    @property
    def body(self) -> bytes:
        return b""

    def _begun(self, chunk: bytes) -> bytes:
        """Read the head of a part, and return what comes after it. The boundary before it needs no parsing."""
        self._head += chunk
        head, end, rest = bytes(self._head).partition(_END_OF_HEAD)
        if not end:
            self._is_damaged = len(self._head) > _LONGEST_HEAD
            return b""
        self._head.clear()
        headers, body = _headers(head), next(self._parts, None)
        length = headers.get("content-length", "")
        if body is None or not length.isdecimal() or len(length) > _LONGEST_LENGTH:
            self._is_damaged = True
            return b""
        self._file = body.from_service(httpx.codes.OK, headers)
        self._left = int(length)
        if not self._left:
            self._complete()
        return rest

    def _fed(self, chunk: bytes) -> bytes:
        piece, rest = chunk[: self._left], chunk[self._left :]
        if self._file is not None:
            self._file.feed(piece)
        self._left -= len(piece)
        if not self._left:
            self._complete()
        return rest

    def _complete(self) -> None:
        try:
            if self._file is not None:
                self._file.end()
        except ServiceAnswerUnknown:  # its hash is not that of the ETag
            self._is_damaged = True
        else:
            self.complete += 1


def _headers(head: bytes) -> httpx.Headers:
    lines = (line.partition(":") for line in head.decode("ascii", "ignore").split("\r\n"))
    return httpx.Headers([(name.strip(), value.strip()) for name, colon, value in lines if colon])
