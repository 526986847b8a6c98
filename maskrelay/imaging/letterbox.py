"""Source ↔ canvas: pad with black to a square, resize to the canvas; and the record that undoes it exactly."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrelay.contract.wire import CANVAS
from maskrelay.imaging.bicubic import bicubic
from maskrelay.imaging.spans import span

Pixels = npt.NDArray[np.uint8]

# The way to the canvas costs time with the square of the longer side; JPEG ends at 65,535, WebP at 16,383.
LONGEST_SIDE = 32_767

_PIXELS_AT_ONCE = 1 << 24  # of the padded square, so that a picture of 1 × 32,767 needs no gigabyte


@dataclass(frozen=True)
class Letterbox:
    """Where a source of `width` × `height` pixels lies in a square of `side`, which is resized to `canvas`.

    The four pads are in source pixels, add up to `side − width` and `side − height`, and of an odd difference the
    larger half is to the right or at the bottom.
    """

    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int
    side: int
    canvas: int = CANVAS

    @classmethod
    def of(cls, width: int, height: int, canvas: int = CANVAS) -> Self:
        side = max(width, height)
        across, down = side - width, side - height
        left, top = across // 2, down // 2
        return cls(width, height, left, top, across - left, down - top, side, canvas)

    def record(self) -> dict[str, int]:
        """The numbers by name, for JSON."""
        return asdict(self)

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Self:
        return cls(**record)


def to_canvas(pixels: Pixels, box: Letterbox) -> Pixels:
    """(height, width) or (height, width, 3) uint8 → (canvas, canvas) or (canvas, canvas, 3) uint8.

    Pillow's BICUBIC on the padded 8-bit square, within `bicubic`'s tolerance. Pillow resizes across, rounds to
    8 bits, then down: done here as two calls, so that the square never exists as a whole.
    """
    return _down(_across(pixels, box), box)


def _across(pixels: Pixels, box: Letterbox) -> Pixels:
    strip = max(1, _PIXELS_AT_ONCE // box.side)
    if box.height <= strip:
        return bicubic(_padded(pixels, 1, box.left, box.side), box.canvas, box.height)
    resized = np.empty((box.height, box.canvas, *pixels.shape[2:]), np.uint8)
    for first in range(0, box.height, strip):
        rows = pixels[first : first + strip]
        resized[first : first + strip] = bicubic(_padded(rows, 1, box.left, box.side), box.canvas, len(rows))
    return resized


def _down(rows: Pixels, box: Letterbox) -> Pixels:
    return bicubic(_padded(rows, 0, box.top, box.side), box.canvas, box.canvas)


def _padded(pixels: Pixels, axis: int, before: int, side: int) -> Pixels:
    """The pixels with black around them along one axis, so that it is `side` long; themselves if it is already."""
    length = pixels.shape[axis]
    if length == side:
        return pixels
    shape = list(pixels.shape)
    shape[axis] = side
    padded = np.zeros(shape, np.uint8)
    padded[(slice(None),) * axis + (slice(before, before + length),)] = pixels
    return padded


def from_canvas(canvas: Pixels, box: Letterbox, *, least: int = 1) -> Pixels:
    """(canvas, canvas) uint8 → (height, width) uint8.

    Bilinear to the padded square, of which only the source's part is computed; bit for bit Pillow's BILINEAR, which
    averages when it makes smaller. Only the rows and then the columns that matter go through it: with `least`,
    values below it need not be exact (they stay below it, and may come back smaller than they are).
    """
    rows = span(np.max(canvas, axis=1) >= least)
    if rows.start == rows.stop:
        return np.zeros((box.height, box.width), np.uint8)
    reach = _reach(box) if least > 1 else 0
    rows = slice(max(0, rows.start - reach), rows.stop + reach)
    return _back_down(_back_across(canvas[rows], box), rows.start, box)


def _reach(box: Letterbox) -> int:
    """Rows of the canvas that can share a row of the source: twice the kernel's half width, rounded up."""
    return 2 * math.ceil(max(1.0, box.canvas / box.side)) + 1


def _back_across(rows: Pixels, box: Letterbox) -> Pixels:
    """(rows, canvas) → (rows, width)."""
    scale = box.canvas / box.side
    part = (box.left * scale, 0, (box.left + box.width) * scale, len(rows))
    return _bilinear(rows, (box.width, len(rows)), part)


def _back_down(rows: Pixels, first: int, box: Letterbox) -> Pixels:
    """(rows, width), the first of them row `first` of the canvas → (height, width)."""
    columns = span(np.max(rows, axis=0))
    width = columns.stop - columns.start
    back = np.zeros((box.height, box.width), np.uint8)
    if width:
        whole = np.zeros((box.canvas, width), np.uint8)
        whole[first : first + len(rows)] = rows[:, columns]
        scale = box.canvas / box.side
        part = (0, box.top * scale, width, (box.top + box.height) * scale)
        back[:, columns] = _bilinear(whole, (width, box.height), part)
    return back


def _bilinear(pixels: Pixels, size: tuple[int, int], part: tuple[float, float, float, float]) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, box=part))
