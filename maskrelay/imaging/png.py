"""Encoding of arrays as PNG files, with the filter "Up" on every row and fast compression.

Other libraries try five filters on every row and compress slowly. The measurements are in `docs/decisions`. Source of
the format: the PNG specification, third edition, §5 (chunks) and §9 (filters).
"""

import importlib.util
import struct
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

#: The library libdeflate, or None if it is not available for this platform. Without it, no PNG is made smaller than
#: usual.
_LIBDEFLATE = importlib.import_module("deflate") if importlib.util.find_spec("deflate") else None

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB = 0, 2  # colour types
_UP = 2  # the filter type "Up", which stores the difference from the byte above
_LEVEL = 1  # igzip has the levels 0 to 3: at level 2 files are not smaller, and level 3 is three times slower
_SMALL_LEVEL = 6  # the level of libdeflate: files are up to a third smaller than with igzip, but need 30 to 100 ms


def png(pixels: npt.NDArray[np.uint8], *, small: bool = False) -> bytes:
    """Encode uint8 pixels as a PNG file without metadata.

    An array of shape (height, width) becomes 8-bit grayscale, and one of shape (height, width, 3) becomes 8-bit RGB. If
    `small` is true, the file is smaller, but takes several times longer.
    """
    height, width = pixels.shape[:2]
    rows = _filtered(pixels.reshape(height, -1))
    return _file(width, height, GRAY if pixels.ndim == 2 else RGB, rows, small=small)


def part_png(part: npt.NDArray[np.uint8], window: tuple[slice, slice], size: tuple[int, int]) -> bytes:
    """Encode a frame that is black outside a window as an 8-bit grayscale PNG file.

    `part` contains the pixels of the window, which is a range of rows and a range of columns. `size` is the (height,
    width) of the frame. The result is the file that `png` would return for the whole frame. The pixels of the whole
    frame are never in memory, only their differences.
    """
    (height, width), (rows, columns) = size, window
    differences = np.zeros((height, 1 + width), np.uint8)
    differences[:, 0] = _UP
    there = differences[:, 1 + columns.start : 1 + columns.stop]
    there[rows.start] = part[0]
    np.subtract(part[1:], part[:-1], out=there[rows.start + 1 : rows.stop])
    if rows.stop < height:
        np.negative(part[-1], out=there[rows.stop])
    return _file(width, height, GRAY, differences)


def gray_as_rgb_png(pixels: npt.NDArray[np.uint8], *, small: bool = False) -> bytes:
    """Encode (height, width) uint8 pixels as an 8-bit RGB PNG with three equal channels. `small` is as in `png`."""
    height, width = pixels.shape
    differences = _filtered(pixels)[:, 1:]
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = _UP
    for channel in range(3):  # three strided copies take a fifth of the time of one broadcast
        rows[:, 1 + channel :: 3] = differences
    return _file(width, height, RGB, rows, small=small)


def write_rgb_png(out: BinaryIO, width: int, height: int, bands: Iterable[npt.NDArray[np.uint8]]) -> None:
    """Write bands of pixels, from top to bottom, as one PNG file.

    Each band is uint8 in the shape (rows, width, 3). Together, the bands must have `height` rows. Only one band is in
    memory at a time.
    """
    deflating = isal_zlib.compressobj(_LEVEL)
    above = np.zeros(3 * width, np.uint8)
    out.write(_head(width, height, RGB))
    for band in bands:
        rows = band.reshape(len(band), -1)
        out.writelines(chunk(b"IDAT", deflating.compress(_filtered(rows, above))))
        above = rows[-1]
    out.writelines((*chunk(b"IDAT", deflating.flush()), *chunk(b"IEND", b"")))


def _filtered(rows: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8] | int = 0) -> npt.NDArray[np.uint8]:
    """Return the filtered rows. Each is the filter type, followed by the differences from the row above, modulo 256."""
    height, length = rows.shape
    filtered = np.empty((height, 1 + length), np.uint8)
    filtered[:, 0] = _UP
    np.subtract(rows[0], above, out=filtered[0, 1:])
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _file(width: int, height: int, colour_type: int, rows: npt.NDArray[np.uint8], *, small: bool = False) -> bytes:
    if small and _LIBDEFLATE is not None:
        deflated = bytes(_LIBDEFLATE.zlib_compress(rows, _SMALL_LEVEL))
    else:
        deflated = isal_zlib.compress(rows, _LEVEL)
    return b"".join((_head(width, height, colour_type), *chunk(b"IDAT", deflated), *chunk(b"IEND", b"")))


def _head(width: int, height: int, colour_type: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    return b"".join((SIGNATURE, *chunk(b"IHDR", header)))


def chunk(name: bytes, body: bytes) -> tuple[bytes, ...]:
    """Return the pieces of a chunk: length, name of four letters, body, and the checksum of name and body."""
    check = isal_zlib.crc32(body, isal_zlib.crc32(name))
    return struct.pack(">I", len(body)), name, body, struct.pack(">I", check)
