"""Letterbox between source and canvas: pad with black to a square, resize to the canvas, and map back exactly.

On request, a source whose pixels are not square is stretched first, so that the canvas shows true proportions.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrelay.contract.wire.image2d import CANVAS
from maskrelay.imaging.canvas.bicubic import bicubic
from maskrelay.imaging.side_spans import span
from maskrelay.imaging.spacing import Spacing, measurable

Pixels = npt.NDArray[np.uint8]

# The time to make a canvas grows with the square of the longer side. JPEG allows 65,535 pixels, WebP 16,383.
LONGEST_SIDE = 32_767

PIXELS_AT_ONCE = 1 << 24  # of the padded square, so that an image of 1 × 32,767 does not need a gigabyte


@dataclass(frozen=True)
class Letterbox:
    """The position of a `width` × `height` source in a square of `side`, which is resized to `canvas`.

    The source is first stretched to `stretched_width` × `stretched_height`, which is its own size unless its pixels are
    made square. The four pads are in stretched pixels and add up to `side − stretched_width` and `side −
    stretched_height`; of an odd difference, the larger half is on the right or at the bottom.
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
        """Return the letterbox of a source. With `spacing`, (row, column) in mm, its pixels are made square."""
        stretched_width, stretched_height = _squared(width, height, spacing)
        side = max(stretched_width, stretched_height)
        across, down = side - stretched_width, side - stretched_height
        left, top = across // 2, down // 2
        pads = left, top, across - left, down - top
        return cls(width, height, *pads, side, canvas, stretched_width, stretched_height)

    def record(self) -> dict[str, int]:
        """Return the fields by name, for JSON."""
        return asdict(self)

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Self:
        """Return the letterbox of a record. The oldest records lack the stretched size: it is the source's own."""
        unstretched = {"stretched_width": record["width"], "stretched_height": record["height"]}
        return cls(**{**unstretched, **record})

    def scales(self) -> tuple[float, float]:
        """Return how many canvas pixels a source pixel covers, horizontally and vertically."""
        scale = self.canvas / self.side
        return self.stretched_width / self.width * scale, self.stretched_height / self.height * scale

    def part(self) -> tuple[float, float, float, float]:
        """Return the rectangle of the source on the canvas, in canvas pixels: left, top, right, bottom."""
        scale = self.canvas / self.side
        right, bottom = self.left + self.stretched_width, self.top + self.stretched_height
        return self.left * scale, self.top * scale, right * scale, bottom * scale

    def thinnest(self) -> float:
        """Return how many canvas pixels the source covers along its shorter side."""
        left, top, right, bottom = self.part()
        return min(right - left, bottom - top)


def _squared(width: int, height: int, spacing: Spacing | None) -> tuple[int, int]:
    """The size in square pixels as wide as the finer spacing; in larger ones if a side would be too long."""
    known = measurable(spacing)
    if known is None or known[0] == known[1]:
        return width, height
    down_mm, across_mm = height * known[0], width * known[1]
    pixel = max(min(known), down_mm / LONGEST_SIDE, across_mm / LONGEST_SIDE)
    return max(1, round(across_mm / pixel)), max(1, round(down_mm / pixel))


def to_canvas(pixels: Pixels, box: Letterbox) -> Pixels:
    """Letterbox a (height, width) or (height, width, 3) uint8 image to (canvas, canvas) or (canvas, canvas, 3) uint8.

    The result is Pillow's BICUBIC of the padded 8-bit square, within the tolerance of `bicubic`. Pillow resizes
    horizontally, rounds to 8 bits, then resizes vertically. If rows are added above and below, this is done in two
    calls, so that the whole square is never in memory. Stretching, also bicubic and rounded to 8 bits, precedes the
    padding of each direction.
    """
    if box.height == box.stretched_height == box.side <= _strip(box):
        return bicubic(_widened(pixels, box), box.canvas, box.canvas)
    return _down(_across(pixels, box), box)


def _strip(box: Letterbox) -> int:
    """The number of rows that are resized at once."""
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
        # one contiguous buffer, which the resizer uses without a copy
        framed = b"".join((bytes(box.top * line), np.ascontiguousarray(stretched).data, bytes(box.bottom * line)))
        stretched = np.frombuffer(framed, np.uint8).reshape(box.side, *stretched.shape[1:])
    return bicubic(stretched, box.canvas, box.canvas)


def from_canvas(canvas: Pixels, box: Letterbox) -> Pixels:
    """Map a (canvas, canvas) uint8 probability map back to the source: (height, width) uint8.

    The map is resized bilinearly to the padded square, of which only the source's part is computed. The result equals
    Pillow's BILINEAR bit for bit, which averages when it makes smaller. A stretched source is reached in the same step.
    Only the rows and then the columns that hold nonzero values are resized.
    """
    back = np.zeros((box.height, box.width), np.uint8)
    columns, part = _back_of_rows(canvas, span(np.max(canvas, axis=1)), box)
    back[:, columns] = part
    return back


def part_from_canvas(canvas: Pixels, rows: slice, box: Letterbox) -> tuple[slice, Pixels]:
    """Return the part of `from_canvas` that holds the foreground: a slice of columns, and (height, columns) uint8.

    rows: the range from the first to the last canvas row with any foreground. Values below FOREGROUND stay below it,
    but may be smaller than those of `from_canvas`; all values of the other columns are below it.
    """
    reach = _reach(box) if rows.start < rows.stop else 0
    return _back_of_rows(canvas, slice(max(0, rows.start - reach), rows.stop + reach), box)


def _back_of_rows(canvas: Pixels, rows: slice, box: Letterbox) -> tuple[slice, Pixels]:
    """The columns of the frame that these rows affect, and their (height, columns) values."""
    if rows.start == rows.stop:
        return slice(0, 0), np.zeros((box.height, 0), np.uint8)
    return _back_down(_back_across(canvas[rows], box), rows.start, box)


def _reach(box: Letterbox) -> int:
    """Canvas rows that can contribute to the same source row: twice the kernel's half width, rounded up."""
    return 2 * math.ceil(max(1.0, box.scales()[1])) + 1


def _back_across(rows: Pixels, box: Letterbox) -> Pixels:
    """Resize (rows, canvas) to (rows, width)."""
    left, _, right, _ = box.part()
    return _bilinear(rows, (box.width, len(rows)), (left, 0, right, len(rows)))


def _back_down(rows: Pixels, first: int, box: Letterbox) -> tuple[slice, Pixels]:
    """From (rows, width), beginning at canvas row `first`: the columns with nonzero values, and (height, columns)."""
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
