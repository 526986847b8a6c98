"""The letterbox between a source and the canvas.

A source is padded with black to a square, and the square is resized to the canvas. For maps from the endpoint, these
steps are reversed. On request, a source whose pixels are not square is stretched first, so the canvas shows the true
proportions.
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

#: The longest side of a source, in pixels. The time to make a canvas grows with the square of the longer side. The
#: limit matters for JPEG files, whose sides may have up to 65,535 pixels.
LONGEST_SIDE = 32_767

#: The number of pixels of the padded square that are processed at once. Without this limit, an image of 1 × 32,767
#: pixels would need a gigabyte of memory.
PIXELS_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Letterbox:
    """The position of a source of `width` × `height` pixels in a square of `side` pixels, which is resized to `canvas`.

    The source is first stretched to `stretched_width` × `stretched_height`. This differs from the size of the source
    only if the pixels are made square. `left`, `top`, `right` and `bottom` are the widths of the padding, in stretched
    pixels. If the padding cannot be divided equally, the padding on the right or at the bottom is one pixel wider.
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
        """Return the letterbox of a source.

        `spacing` contains the distances between rows and between columns, in millimetres. If it is given, the pixels
        are made square.
        """
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
        """Return the letterbox whose fields are in `record`.

        The oldest records have no stretched size. For these records, the size of the source is used.
        """
        unstretched = {"stretched_width": record["width"], "stretched_height": record["height"]}
        return cls(**{**unstretched, **record})

    def scales(self) -> tuple[float, float]:
        """Return the width and the height of a source pixel on the canvas, in canvas pixels."""
        scale = self.canvas / self.side
        return self.stretched_width / self.width * scale, self.stretched_height / self.height * scale

    def part(self) -> tuple[float, float, float, float]:
        """Return the rectangle of the source on the canvas, in canvas pixels: left, top, right, bottom."""
        scale = self.canvas / self.side
        right, bottom = self.left + self.stretched_width, self.top + self.stretched_height
        return self.left * scale, self.top * scale, right * scale, bottom * scale

    def thinnest(self) -> float:
        """Return the shorter side of the source on the canvas, in canvas pixels."""
        left, top, right, bottom = self.part()
        return min(right - left, bottom - top)


def _squared(width: int, height: int, spacing: Spacing | None) -> tuple[int, int]:
    """Return the size of the source in square pixels.

    The side of a square pixel is the smaller of the two spacings, or larger if a side of the image would otherwise be
    longer than LONGEST_SIDE.
    """
    known = measurable(spacing)
    if known is None or known[0] == known[1]:
        return width, height
    down_mm, across_mm = height * known[0], width * known[1]
    pixel = max(min(known), down_mm / LONGEST_SIDE, across_mm / LONGEST_SIDE)
    return max(1, round(across_mm / pixel)), max(1, round(down_mm / pixel))


def to_canvas(pixels: Pixels, box: Letterbox) -> Pixels:
    """Return the canvas of a (height, width) or (height, width, 3) uint8 image.

    The canvas is uint8 and has the shape (canvas, canvas) or (canvas, canvas, 3). Except for rounding (see `bicubic`),
    the result is that of resizing the padded square with Pillow's BICUBIC. Pillow resizes horizontally, rounds to 8
    bits, and then resizes vertically. If padding is added above and below, only the rows of the source are resized
    horizontally, in strips, and the padding is added to the result. The whole square is therefore never in memory. A
    source is stretched before it is padded, separately in each direction. The stretching is also bicubic and rounded to
    8 bits.
    """
    if box.height == box.stretched_height == box.side <= _strip(box):
        return bicubic(_widened(pixels, box), box.canvas, box.canvas)
    return _down(_across(pixels, box), box)


def _strip(box: Letterbox) -> int:
    """Return the number of rows that are resized at once."""
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
        # the resizer uses one contiguous buffer without copying it
        framed = b"".join((bytes(box.top * line), np.ascontiguousarray(stretched).data, bytes(box.bottom * line)))
        stretched = np.frombuffer(framed, np.uint8).reshape(box.side, *stretched.shape[1:])
    return bicubic(stretched, box.canvas, box.canvas)


def from_canvas(canvas: Pixels, box: Letterbox) -> Pixels:
    """Map a (canvas, canvas) uint8 probability map back to the source, as a (height, width) uint8 map.

    The map is resized bilinearly to the padded square, of which only the part with the source is computed. A stretched
    source is reduced to its own size in the same step. The result is equal to that of Pillow's BILINEAR, which averages
    pixels when it reduces the size. Only rows and columns with values other than 0 are resized.
    """
    back = np.zeros((box.height, box.width), np.uint8)
    columns, part = _back_of_rows(canvas, span(np.max(canvas, axis=1)), box)
    back[:, columns] = part
    return back


def part_from_canvas(canvas: Pixels, rows: slice, box: Letterbox) -> tuple[slice, Pixels]:
    """Return the columns of the result of `from_canvas` that contain foreground: their range, and their values.

    The values are uint8, in the shape (height, columns). `rows` is the range from the first to the last canvas row with
    foreground. Values that are below FOREGROUND (see `mask`) in the result of `from_canvas` may be smaller here.
    Outside the returned range, the result of `from_canvas` has only values below FOREGROUND.
    """
    reach = _reach(box) if rows.start < rows.stop else 0
    return _back_of_rows(canvas, slice(max(0, rows.start - reach), rows.stop + reach), box)


def _back_of_rows(canvas: Pixels, rows: slice, box: Letterbox) -> tuple[slice, Pixels]:
    """Return the range of the frame's columns that these canvas rows affect, and their (height, columns) values."""
    if rows.start == rows.stop:
        return slice(0, 0), np.zeros((box.height, 0), np.uint8)
    return _back_down(_back_across(canvas[rows], box), rows.start, box)


def _reach(box: Letterbox) -> int:
    """Return an upper bound of the number of canvas rows that contribute to the same source row.

    It is one more than twice the half width of the kernel, which is first rounded up.
    """
    return 2 * math.ceil(max(1.0, box.scales()[1])) + 1


def _back_across(rows: Pixels, box: Letterbox) -> Pixels:
    """Resize canvas rows of the shape (rows, canvas) to (rows, width)."""
    left, _, right, _ = box.part()
    return _bilinear(rows, (box.width, len(rows)), (left, 0, right, len(rows)))


def _back_down(rows: Pixels, first: int, box: Letterbox) -> tuple[slice, Pixels]:
    """Resize rows of the shape (rows, width), which begin at canvas row `first`, to (height, columns).

    Return the range of the columns with values other than 0, and their values.
    """
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
