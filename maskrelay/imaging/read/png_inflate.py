"""Decompression of the pixel data of a PNG file with igzip, which is faster than Pillow's own decompression.

The result is a PNG file whose pixel data are not compressed, for Pillow to decode. Nothing else in the file is changed.
A file whose pixel data are incomplete, or have a wrong checksum, is returned unchanged, so Pillow reports the error.
Sources: the PNG specification, third edition, §5 (chunks) and §7 (scanlines); RFC 1950 (zlib); RFC 1951 §3.2.4 (stored
blocks).
"""

import struct

from isal import isal_zlib
from isal.igzip_lib import IsalError

from maskrelay.imaging.png import SIGNATURE, chunk

_HEAD = struct.Struct(">8sI4sIIBBBBB")  # the signature, then the IHDR chunk
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_MOST_BYTES = 1 << 25  # the limit for decompressed pixel data, which are briefly in memory twice
_BLOCK = 0xFFFF


def stored_png(file: bytes) -> bytes:
    """Return the same PNG file with its pixel data in stored blocks.

    Return `file` itself if it is not a PNG file, or if it is interlaced, too large or damaged.
    """
    length = _stream_bytes(file)
    if not length:
        return file
    packed, begin, end = _stream(file)
    unpacker = isal_zlib.decompressobj()
    try:
        pixels = unpacker.decompress(packed, length + 1)
    except IsalError:  # type: ignore[misc]  # its stub has no base class
        return file
    if len(pixels) != length or not unpacker.eof or unpacker.unused_data:
        return file
    return b"".join((file[:begin], *chunk(b"IDAT", _stored(pixels)), file[end:]))


def _stream_bytes(file: bytes) -> int:
    """Return the decompressed size of the pixel data, including a filter type for each row.

    Return 0 if the file is not a PNG file, is interlaced, or is too large.
    """
    if len(file) < _HEAD.size:
        return 0
    signature, _, name, width, height, depth, colour, _, _, interlaced = _HEAD.unpack_from(file)
    if (signature, name, interlaced) != (SIGNATURE, b"IHDR", 0):
        return 0
    length: int = height * (1 + (width * depth * _CHANNELS.get(colour, 0) + 7) // 8)
    return length if length <= _MOST_BYTES else 0


def _stream(file: bytes) -> tuple[bytearray, int, int]:
    """Return the content of the first consecutive IDAT chunks, and the range of the file that they occupy.

    Only the bytes of the chunks are stored, so many empty chunks need no memory.
    """
    packed, begin, at = bytearray(), 0, len(SIGNATURE)
    while at + 12 <= len(file):
        (length,), name = struct.unpack_from(">I", file, at), file[at + 4 : at + 8]
        behind = at + 12 + length
        if behind > len(file) or (begin and name != b"IDAT"):
            break
        if name == b"IDAT":
            begin = begin or at
            packed += file[at + 8 : behind - 4]
        at = behind
    return packed, begin, at


def _stored(pixels: bytes) -> bytes:
    """Return a zlib stream that consists of uncompressed blocks."""
    view, length = memoryview(pixels), len(pixels)
    blocks: list[bytes | memoryview] = [b"\x78\x01"]
    for start in range(0, length, _BLOCK):
        block = view[start : start + _BLOCK]
        blocks += (struct.pack("<BHH", start + _BLOCK >= length, len(block), len(block) ^ _BLOCK), block)
    return b"".join((*blocks, struct.pack(">I", isal_zlib.adler32(pixels))))
