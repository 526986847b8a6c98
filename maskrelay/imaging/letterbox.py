"""Letterbox between source and canvas: pad with black to a square, resize to the canvas, and map back exactly.

On request, a source whose pixels are not square is stretched first, so that the canvas shows true proportions.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrelay.contract.wire import CANVAS
from maskrelay.imaging.bicubic import bicubic
from maskrelay.imaging.spacing import Spacing, measurable
from maskrelay.imaging.spans import span

Pixels = npt.NDArray[np.uint8]

# The way to the canvas costs time with the square of the longer side; JPEG ends at 65,535, WebP at 16,383.
LONGEST_SIDE = 32_767

PIXELS_AT_ONCE = 1 << 24  # of the padded square, so that a picture of 1 × 32,767 needs no gigabyte


@dataclass(frozen=True)
class Letterbox:
    """Where a source of `width` × `height` pixels lies in a square of `side`, which is resized to `canvas`.

    The source is stretched to `stretched_width` × `stretched_height` first: its own size, unless its pixels were to
    become squares. The four pads are in stretched pixels, add up to `side − stretched_width` and
    `side − stretched_height`, and of an odd difference the larger half is to the right or at the bottom.
    """

    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int
    side: int
    canvas: int
    stretched_width: int
    stretched_height: int

    @classmethod
    def of(cls, width: int, height: int, spacing: Spacing | None = None, canvas: int = CANVAS) -> Self:
        """The letterbox of a source; with `spacing`, millimetres between rows and between columns, of square pixels."""
        stretched_width, stretched_height = _squared(width, height, spacing)
        side = max(stretched_width, stretched_height)
        across, down = side - stretched_width, side - stretched_height
        left, top = across // 2, down // 2
        pads = left, top, across - left, down - top
        return cls(width, height, *pads, side, canvas, stretched_width, stretched_height)

    def record(self) -> dict[str, int]:
        """The numbers by name, for JSON."""
        return asdict(self)

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Self:
        """The letterbox of a record; the first ones were made before sources could be stretched."""
        unstretched = {"stretched_width": record["width"], "stretched_height": record["height"]}
        return cls(**{**unstretched, **record})

    def scales(self) -> tuple[float, float]:
        """How many canvas pixels a source pixel covers, across and down."""
        scale = self.canvas / self.side
        return self.stretched_width / self.width * scale, self.stretched_height / self.height * scale

    def part(self) -> tuple[float, float, float, float]:
        """Where the source lies on the canvas, in canvas pixels: left, top, right, bottom."""
        scale = self.canvas / self.side
        right, bottom = self.left + self.stretched_width, self.top + self.stretched_height
        return self.left * scale, self.top * scale, right * scale, bottom * scale

    def thinnest(self) -> float:
        """How many canvas pixels the source covers along its shorter side."""
        left, top, right, bottom = self.part()
        return min(right - left, bottom - top)


def _squared(width: int, height: int, spacing: Spacing | None) -> tuple[int, int]:
    """The size in square pixels as wide as the finer spacing; if a side is too long for that, in larger ones."""
    known = measurable(spacing)
    if known is None or known[0] == known[1]:
        return width, height
    down_mm, across_mm = height * known[0], width * known[1]
    pixel = max(min(known), down_mm / LONGEST_SIDE, across_mm / LONGEST_SIDE)
    return max(1, round(across_mm / pixel)), max(1, round(down_mm / pixel))


def to_canvas(pixels: Pixels, box: Letterbox) -> Pixels:
    """(height, width) or (height, width, 3) uint8 → (canvas, canvas) or (canvas, canvas, 3) uint8.

    Pillow's BICUBIC on the padded 8-bit square, within `bicubic`'s tolerance. Pillow resizes across, rounds to
    8 bits, then down: done here as two calls where something is added above and below, so that the square never
    exists as a whole. Stretching, bicubic and rounded to 8 bits too, comes before the padding of each direction.
    """
    if box.height == box.stretched_height == box.side <= _strip(box):
        return bicubic(_widened(pixels, box), box.canvas, box.canvas)
    return _down(_across(pixels, box), box)


def _strip(box: Letterbox) -> int:
    """How many rows are resized at once."""
    return max(1, PIXELS_AT_ONCE // box.side)


def _across(pixels: Pixels, box: Letterbox) -> Pixels:
    strip = _strip(box)
    if box.height <= strip:
        return _across_strip(pixels, box)
    resized = np.empty((box.height, box.canvas, *pixels.shape[2:]), np.uint8)
    for first in range(0, box.height, strip):
        resized[first : first + strip] = _across_strip(pixels[first : first + strip], box)
    return resized


def _across_strip(rows: Pixels, box: Letterbox) -> Pixels:
    return bicubic(_widened(rows, box), box.canvas, len(rows))


def _widened(rows: Pixels, box: Letterbox) -> Pixels:
    stretched = bicubic(rows, box.stretched_width, len(rows))
    if box.stretched_width == box.side:
        return stretched
    padded = np.zeros((len(rows), box.side, *rows.shape[2:]), np.uint8)
    padded[:, box.left : box.left + box.stretched_width] = stretched
    return padded


def _down(rows: Pixels, box: Letterbox) -> Pixels:
    stretched = bicubic(rows, box.canvas, box.stretched_height)
    if box.stretched_height < box.side:
        line = stretched[0].nbytes
        # as one piece of bytes, which the resizer takes as it is
        framed = b"".join((bytes(box.top * line), np.ascontiguousarray(stretched).data, bytes(box.bottom * line)))
        stretched = np.frombuffer(framed, np.uint8).reshape(box.side, *stretched.shape[1:])
    return bicubic(stretched, box.canvas, box.canvas)


def from_canvas(canvas: Pixels, box: Letterbox) -> Pixels:
    """(canvas, canvas) uint8 → (height, width) uint8.

    Bilinear to the padded square, of which only the source's part is computed; bit for bit Pillow's BILINEAR, which
    averages when it makes smaller. A stretched source is reached in the same step. Only the rows and then the columns
    that hold anything go through it.
    """
    back = np.zeros((box.height, box.width), np.uint8)
    columns, part = _back_of_rows(canvas, span(np.max(canvas, axis=1)), box)
    back[:, columns] = part
    return back


def part_from_canvas(canvas: Pixels, rows: slice, box: Letterbox) -> tuple[slice, Pixels]:
    """What `from_canvas` gives for the foreground: some columns of the frame and, uint8, their (height, columns).

    rows: from the first to the last row of the canvas that holds any foreground. Values below FOREGROUND stay below it,
    and may be smaller than they are; those of the other columns all are below it.
    """
    reach = _reach(box) if rows.start < rows.stop else 0
    return _back_of_rows(canvas, slice(max(0, rows.start - reach), rows.stop + reach), box)


def _back_of_rows(canvas: Pixels, rows: slice, box: Letterbox) -> tuple[slice, Pixels]:
    """Where in the frame something of these rows lies, and (height, columns) of it."""
    if rows.start == rows.stop:
        return slice(0, 0), np.zeros((box.height, 0), np.uint8)
    return _back_down(_back_across(canvas[rows], box), rows.start, box)


def _reach(box: Letterbox) -> int:
    """Rows of the canvas that can share a row of the source: twice the kernel's half width, rounded up."""
    return 2 * math.ceil(max(1.0, box.scales()[1])) + 1


def _back_across(rows: Pixels, box: Letterbox) -> Pixels:
    """(rows, canvas) → (rows, width)."""
    left, _, right, _ = box.part()
    return _bilinear(rows, (box.width, len(rows)), (left, 0, right, len(rows)))


def _back_down(rows: Pixels, first: int, box: Letterbox) -> tuple[slice, Pixels]:
    """(rows, width), from row `first` of the canvas on → the columns that hold anything, (height, columns)."""
    columns = span(np.max(rows, axis=0))
    width = columns.stop - columns.start
    if not width:
        return columns, np.zeros((box.height, 0), np.uint8)
    whole = np.zeros((box.canvas, width), np.uint8)
    whole[first : first + len(rows)] = rows[:, columns]
    _, top, _, bottom = box.part()
    return columns, _bilinear(whole, (width, box.height), (0, top, width, bottom))


def _bilinear(pixels: Pixels, size: tuple[int, int], part: tuple[float, float, float, float]) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, box=part))
