"""Decompression of a member of a zip archive. It works in pieces, and stops if the declared size is exceeded."""

import zlib
from collections.abc import Iterable, Iterator

from maskrelay.contract.records.source_frames import Extent
from maskrelay.errors import Truncated

#: The largest size of a decompressed piece, in bytes.
_PIECE_BYTES = 256 << 10


def inflated(chunks: Iterable[bytes], extent: Extent) -> Iterator[bytes]:
    """Yield the decompressed bytes of a member. Pieces of a compressed member have at most 256 KiB.

    `chunks` are the bytes of the member's `extent`. Raises Truncated as soon as there are more bytes than declared, or
    if the compressed data is damaged. At the end, raises Truncated if there are fewer bytes than declared or if the
    checksum does not match. Therefore, do not rely on any piece before the iteration has ended.
    """
    declared = extent.length if extent.inflated is None else extent.inflated
    total = checksum = 0
    for piece in chunks if extent.inflated is None else _deflated(chunks):
        total += len(piece)
        checksum = zlib.crc32(piece, checksum)
        if total > declared:
            raise Truncated("A member of the archive is longer than declared.")
        yield piece
    if total != declared:
        raise Truncated("A member of the archive is shorter than declared.")
    if extent.crc32 is not None and checksum != extent.crc32:
        raise Truncated("A member of the archive is damaged: its checksum does not match.")


def _deflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    for chunk in chunks:
        rest, full = chunk, True
        while rest or full:  # after a full piece, the decompressor may have more output for the same input
            try:
                piece = stream.decompress(rest, _PIECE_BYTES)
            except zlib.error:
                raise Truncated("A member of the archive is damaged.") from None
            rest, full = stream.unconsumed_tail, len(piece) == _PIECE_BYTES
            if piece:
                yield piece
        if stream.unused_data:
            raise Truncated("A member of the archive has bytes after its end.")
    if not stream.eof:
        raise Truncated("A member of the archive ends too early.")
