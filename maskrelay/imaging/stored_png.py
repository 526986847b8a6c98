"""A PNG whose pixels are inflated already, by igzip, so that Pillow's slower inflate has nothing left to do.

Only the packing of the pixels' stream changes, and only where it is whole and has its checksum: any other file stays as
it is, and Pillow says what is wrong with it. Sources: the PNG specification, third edition, §5 (chunks) and §7
(scanlines); RFC 1950 (zlib); RFC 1951 §3.2.4 (stored blocks).
"""

import struct
from collections.abc import Iterator

from isal import isal_zlib
from isal.igzip_lib import IsalError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">8sI4sIIBBBBB")  # the signature, then the IHDR chunk
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_MOST_BYTES = 1 << 25  # of pixels, which are held twice for a moment
_BLOCK = 0xFFFF


def stored_png(file: bytes) -> bytes:
    """The same picture with its pixels in stored blocks; `file` itself if it is no PNG, interlaced, large or odd."""
    length = _stream_bytes(file)
    stream = list(_stream(file)) if length else []
    if not stream:
        return file
    unpacker = isal_zlib.decompressobj()
    try:
        pixels = unpacker.decompress(b"".join(file[start:end] for start, end in stream), length + 1)
    except IsalError:  # type: ignore[misc]  # its stub has no base class
        return file
    if len(pixels) != length or not unpacker.eof or unpacker.unused_data:
        return file
    body = b"IDAT" + _stored(pixels)
    chunk = struct.pack(">I", len(body) - 4), body, struct.pack(">I", isal_zlib.crc32(body))
    return b"".join((file[: stream[0][0] - 8], *chunk, file[stream[-1][1] + 4 :]))


def _stream_bytes(file: bytes) -> int:
    """How many bytes the pixels' stream inflates to, a filter's number before each row; 0 where it is not our case."""
    if len(file) < _HEAD.size:
        return 0
    signature, _, name, width, height, depth, colour, _, _, interlaced = _HEAD.unpack_from(file)
    if (signature, name, interlaced) != (_SIGNATURE, b"IHDR", 0):
        return 0
    length: int = height * (1 + (width * depth * _CHANNELS.get(colour, 0) + 7) // 8)
    return length if length <= _MOST_BYTES else 0


def _stream(file: bytes) -> Iterator[tuple[int, int]]:
    """From where to where in the file each of the first IDAT chunks, which follow each other, has its bytes."""
    at, found = len(_SIGNATURE), False
    while at + 12 <= len(file):
        (length,), name = struct.unpack_from(">I", file, at), file[at + 4 : at + 8]
        if found and name != b"IDAT":
            return
        start, at = at + 8, at + 12 + length
        if name == b"IDAT" and at <= len(file):
            found = True
            yield start, start + length


def _stored(pixels: bytes) -> bytes:
    """A zlib stream in which nothing is packed."""
    view, length = memoryview(pixels), len(pixels)
    blocks: list[bytes | memoryview] = [b"\x78\x01"]
    for start in range(0, length, _BLOCK):
        block = view[start : start + _BLOCK]
        blocks += (struct.pack("<BHH", start + _BLOCK >= length, len(block), len(block) ^ _BLOCK), block)
    return b"".join((*blocks, struct.pack(">I", isal_zlib.adler32(pixels))))
