"""Reading of HTTP response bodies with a limit on their decoded size.

httpx decodes each piece of a body completely when it arrives. A whole body may arrive as one piece, so a small body
could expand to gigabytes before its size is checked. Here, a body is decompressed in steps, and its size is checked at
each step.
"""

import asyncio
import zlib
from collections.abc import Iterator

import httpx

#: The supported content encodings.
ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
#: The largest number of bytes that are decompressed in one step.
_STEP = 256 << 10
#: The largest number of members of a gzip body. A normal body has few. Each member takes time, even if it is empty.
_MEMBERS = 1000
#: A body may arrive in `_PIECES` pieces, and in one more piece for each `_SMALL_PIECE` bytes of it. More pieces are
#: rejected, because tiny pieces take much time for little data.
_PIECES, _SMALL_PIECE = 10_000, 64
#: The number of bytes by which an encoded body may exceed the limit, because an encoding can enlarge a body that cannot
#: be compressed.
_OVERHEAD = 64 << 10


class ResponseTooLarge(httpx.DecodingError):
    """The body is larger than its limit."""


class BodyCut(httpx.DecodingError):
    """The body ends before the encoded data does."""


class Decoder:
    """A decoder of one body, which it gets piece by piece. The decoded body may have at most `most` bytes.

    Raises httpx.DecodingError if its encoding is not in ENCODINGS, and ResponseTooLarge if the declared length is above
    the limit.
    """

    def __init__(self, headers: httpx.Headers, most: int) -> None:
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in ENCODINGS:
            raise httpx.DecodingError("the body has an encoding that was not requested")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > most + _OVERHEAD:
            raise ResponseTooLarge("the body is larger than its limit")
        self._encoding = encoding
        self._most = most
        self._wire = self._size = self._members = self._pieces = 0
        self._inflating: zlib._Decompress | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the body is not encoded, so pieces are returned unchanged."""
        return self._encoding in ("", "identity")

    def feed(self, piece: bytes | bytearray) -> Iterator[bytes | bytearray]:
        """Yield the next piece of the body, decoded in steps.

        Raises ResponseTooLarge if the body is larger than the limit, and httpx.DecodingError if it is damaged.
        """
        self._wire += len(piece)
        self._pieces += 1
        if self._pieces > _PIECES + self._wire // _SMALL_PIECE:
            raise httpx.DecodingError("the body arrives in too many tiny pieces")
        if self._wire > self._most + _OVERHEAD:
            raise ResponseTooLarge("the body is larger than its limit")
        for decoded in (piece,) if self.is_plain else self._inflate(bytes(piece)):
            self._size += len(decoded)
            if self._size > self._most:
                raise ResponseTooLarge("the body is larger than its limit")
            yield decoded

    def end(self) -> None:
        """Finish decoding. Raises BodyCut if the encoded data is incomplete."""
        if self._inflating is not None and not self._inflating.eof:
            raise BodyCut("the body ends early")

    def _inflate(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            if self._inflating is None or (self._inflating.eof and self._encoding != "deflate"):
                self._inflating = self._begun(piece)
            if self._inflating.eof:
                return  # bytes after the end of a deflate body are ignored
            try:
                yield self._inflating.decompress(piece, _STEP)
            except zlib.error:
                raise httpx.DecodingError("the body is damaged") from None
            piece = self._inflating.unconsumed_tail or self._inflating.unused_data

    def _begun(self, piece: bytes) -> "zlib._Decompress":
        self._members += 1
        if self._members > _MEMBERS:
            raise httpx.DecodingError("the body has too many members")
        if self._encoding == "deflate":  # RFC 9110 requires the zlib wrapper, but some servers send no wrapper
            return zlib.decompressobj(zlib.MAX_WBITS if piece[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS)
        return zlib.decompressobj(zlib.MAX_WBITS | 16)


def read_body(response: httpx.Response, most: int) -> bytes:
    """Return the decoded body of a streamed response.

    Raises ResponseTooLarge if the body is larger than `most` bytes, and httpx.DecodingError if it is damaged.
    """
    decoder, read = Decoder(response.headers, most), bytearray()
    for piece in response.iter_raw():
        for decoded in decoder.feed(piece):
            read += decoded
    decoder.end()
    return bytes(read)


def received(streamed: httpx.Response, most: int) -> httpx.Response:
    """Return a copy of a streamed response with its decoded body. Raises the same errors as `read_body`."""
    framing = ("content-encoding", "content-length", "transfer-encoding")
    headers = [(name, value) for name, value in streamed.headers.multi_items() if name.lower() not in framing]
    return httpx.Response(streamed.status_code, headers=headers, content=read_body(streamed, most))


async def aread_body(response: httpx.Response, most: int) -> bytes | bytearray:
    """Return the decoded body like `read_body`, in an event loop. Other tasks may run between two steps.

    A body that arrives in one piece is copied at most once.
    """
    decoder, read = Decoder(response.headers, most), bytearray()
    async for piece in response.aiter_raw():
        for decoded in decoder.feed(piece):
            if not read and decoder.is_plain:
                read = decoded if isinstance(decoded, bytearray) else bytearray(decoded)
            else:
                read += decoded
                if not decoder.is_plain:
                    await asyncio.sleep(0)
    decoder.end()
    return read
