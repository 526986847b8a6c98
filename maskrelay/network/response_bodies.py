"""Read HTTP response bodies under a size limit, whatever their framing and encoding.

httpx decodes each piece at once as it arrives, and a response of known length can arrive as one piece: a small body
would then expand to gigabytes before anything checks its size. Here a body is decompressed in steps, and its size is
checked at each step.
"""

import asyncio
import zlib
from collections.abc import Iterator

import httpx

#: The supported content encodings.
ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
#: The number of bytes decompressed in one step.
_STEP = 256 << 10
#: A gzip body may have several members. A valid one has few, and each takes time even if it is empty.
_MEMBERS = 1000
#: Tiny chunks cost much time for little data: beyond this number of chunks, their average size must be this large.
_PIECES, _SMALL_PIECE = 10_000, 64
#: What an encoding may add to an incompressible body: the body on the wire may exceed the limit by this much.
_OVERHEAD = 64 << 10


class ResponseTooLarge(httpx.DecodingError):
    """The body is larger than its limit."""


class BodyCut(httpx.DecodingError):
    """The body ends before the encoded data does."""


class Decoder:
    """Decodes one body of at most `most` bytes, which is passed piece by piece.

    Raises httpx.DecodingError for an encoding that is not in ENCODINGS.
    """

    def __init__(self, headers: httpx.Headers, most: int) -> None:
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in ENCODINGS:
            raise httpx.DecodingError("the body has an encoding that was not asked for")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > most + _OVERHEAD:
            raise ResponseTooLarge("the body is larger than its limit")
        self._encoding = encoding
        self._most = most
        self._wire = self._size = self._members = self._pieces = 0
        self._inflating: zlib._Decompress | None = None

    @property
    def is_plain(self) -> bool:
        """Whether pieces are passed on unchanged."""
        return self._encoding in ("", "identity")

    def feed(self, piece: bytes | bytearray) -> Iterator[bytes | bytearray]:
        """Yield the decoded next piece, in steps. Raises BodyTooLarge, or httpx.DecodingError for a damaged body."""
        self._wire += len(piece)
        self._pieces += 1
        if self._pieces > _PIECES + self._wire // _SMALL_PIECE:
            raise httpx.DecodingError("the body comes in countless tiny pieces")
        if self._wire > self._most + _OVERHEAD:
            raise ResponseTooLarge("the body is larger than its limit")
        for decoded in (piece,) if self.is_plain else self._inflate(bytes(piece)):
            self._size += len(decoded)
            if self._size > self._most:
                raise ResponseTooLarge("the body is larger than its limit")
            yield decoded

    def end(self) -> None:
        """End the body. Raises BodyCut if its last member is incomplete."""
        if self._inflating is not None and not self._inflating.eof:
            raise BodyCut("the body ends early")

    def _inflate(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            if self._inflating is None or (self._inflating.eof and self._encoding != "deflate"):
                self._inflating = self._begun(piece)
            if self._inflating.eof:
                return  # bytes after a deflate body have no meaning
            try:
                yield self._inflating.decompress(piece, _STEP)
            except zlib.error:
                raise httpx.DecodingError("the body is damaged") from None
            piece = self._inflating.unconsumed_tail or self._inflating.unused_data

    def _begun(self, piece: bytes) -> "zlib._Decompress":
        self._members += 1
        if self._members > _MEMBERS:
            raise httpx.DecodingError("the body has too many members")
        if self._encoding == "deflate":  # with the zlib wrapper as in RFC 9110, or without it as some servers send it
            return zlib.decompressobj(zlib.MAX_WBITS if piece[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS)
        return zlib.decompressobj(zlib.MAX_WBITS | 16)


def read_body(response: httpx.Response, most: int) -> bytes:
    """Return the decoded body of a streamed response. Raises BodyTooLarge, or httpx.DecodingError for a damaged one."""
    decoder, read = Decoder(response.headers, most), bytearray()
    for piece in response.iter_raw():
        for decoded in decoder.feed(piece):
            read += decoded
    decoder.end()
    return bytes(read)


def received(streamed: httpx.Response, most: int) -> httpx.Response:
    """Return a streamed response with its body read and decoded. Raises as `read_body` does."""
    framing = ("content-encoding", "content-length", "transfer-encoding")
    headers = [(name, value) for name, value in streamed.headers.multi_items() if name.lower() not in framing]
    return httpx.Response(streamed.status_code, headers=headers, content=read_body(streamed, most))


async def aread_body(response: httpx.Response, most: int) -> bytes | bytearray:
    """As `read_body`, for an event loop, which other tasks may use between two steps.

    A body in one piece is not copied.
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
