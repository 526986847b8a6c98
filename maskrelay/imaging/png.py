"""Write arrays as PNG: the "up" filter on every row, then one fast deflate.

General writers try five filters on every row and deflate slowly; `docs/decisions` has the figures. Source of the
format: the PNG specification, third edition, §5 (chunks) and §9 (filters).
"""

import struct
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB = 0, 2  # colour types
_UP = 2  # the filter type "Up": the difference to the byte above
_LEVEL = 1  # of igzip's 0..3: 2 is no smaller, 3 is three times slower


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode (height, width) uint8 as 8-bit grayscale or (height, width, 3) as 8-bit RGB, without any metadata."""
    height, width = pixels.shape[:2]
    return _file(width, height, _GRAY if pixels.ndim == 2 else _RGB, _filtered(pixels.reshape(height, -1)))


def part_png(part: npt.NDArray[np.uint8], window: tuple[slice, slice], size: tuple[int, int]) -> bytes:
    """Encode the (rows, columns) window of a frame as 8-bit grayscale of `size`, (height, width), black elsewhere.

    The file is the same as `png` makes of the whole frame, which is never created.
    """
    (height, width), (rows, columns) = size, window
    differences = np.zeros((height, 1 + width), np.uint8)
    differences[:, 0] = _UP
    there = differences[:, 1 + columns.start : 1 + columns.stop]
    there[rows.start] = part[0]
    np.subtract(part[1:], part[:-1], out=there[rows.start + 1 : rows.stop])
    if rows.stop < height:
        np.negative(part[-1], out=there[rows.stop])
    return _file(width, height, _GRAY, differences)


def gray_as_rgb_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode (height, width) as an 8-bit RGB PNG of three equal channels, without creating that array."""
    height, width = pixels.shape
    differences = _filtered(pixels)[:, 1:]
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = _UP
    for channel in range(3):  # three strided copies take a fifth of the time of a broadcast
        rows[:, 1 + channel :: 3] = differences
    return _file(width, height, _RGB, rows)


def write_rgb_png(out: BinaryIO, width: int, height: int, bands: Iterable[npt.NDArray[np.uint8]]) -> None:
    """Write bands of (rows, width, 3) uint8, from the top down, as one PNG; one band is held at a time.

    The bands must have `height` rows together.
    """
    deflating = isal_zlib.compressobj(_LEVEL)
    above = np.zeros(3 * width, np.uint8)
    out.write(_head(width, height, _RGB))
    for band in bands:
        rows = band.reshape(len(band), -1)
        out.writelines(chunk(b"IDAT", deflating.compress(_filtered(rows, above))))
        above = rows[-1]
    out.writelines((*chunk(b"IDAT", deflating.flush()), *chunk(b"IEND", b"")))


def _filtered(rows: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8] | int = 0) -> npt.NDArray[np.uint8]:
    """Convert (height, bytes) to (height, 1 + bytes): the filter type, then the differences modulo 256."""
    height, length = rows.shape
    filtered = np.empty((height, 1 + length), np.uint8)
    filtered[:, 0] = _UP
    np.subtract(rows[0], above, out=filtered[0, 1:])
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _file(width: int, height: int, colour_type: int, rows: npt.NDArray[np.uint8]) -> bytes:
    deflated = isal_zlib.compress(rows, _LEVEL)
    return b"".join((_head(width, height, colour_type), *chunk(b"IDAT", deflated), *chunk(b"IEND", b"")))


def _head(width: int, height: int, colour_type: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    return b"".join((SIGNATURE, *chunk(b"IHDR", header)))


def chunk(name: bytes, body: bytes) -> tuple[bytes, ...]:
    """Return a chunk in pieces: its length, its name of four letters, its body, and the checksum of name and body."""
    check = isal_zlib.crc32(body, isal_zlib.crc32(name))
    return struct.pack(">I", len(body)), name, body, struct.pack(">I", check)
