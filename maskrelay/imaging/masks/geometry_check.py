"""The geometry check, which compares the position of a mask in the source with its position on the canvas."""

import math

import numpy as np
import numpy.typing as npt

from maskrelay.contract.records.outcomes import Measures, SelfCheck
from maskrelay.imaging.canvas.letterbox import Letterbox
from maskrelay.imaging.masks.mask import FOREGROUND
from maskrelay.imaging.side_spans import span

#: The least thickness of a mask that is checked, in source pixels and in canvas pixels. The thickness is the area
#: divided by the longer side of the bounding box. The edges of a thinner mask, such as one of fewer than 16 pixels, are
#: too uneven for a check.
THINNEST = 4


def self_check(canvas: npt.NDArray[np.uint8], rows: slice, measures: Measures, box: Letterbox) -> SelfCheck:
    """Compare the centroid of a mask with the centroid of the foreground of its (canvas, canvas) uint8 map.

    `rows` is a range of canvas rows that contains all of the foreground. The centroid of the map is computed over the
    area that the source covers, and is converted to source coordinates. The conversion uses only the fields of `box`,
    not the code that resizes the map. `shift_px` is the distance between the two centroids in source pixels.
    `padding_px` is the number of foreground pixels in the padding of the canvas, which no mask can contain.

    `ok` is true if rounding to the two pixel grids can explain the shift (see `_bound`), or if the bounding boxes
    agree. The boxes are compared because rounding can make parts of the mask thicker or thinner, which moves the
    centroid but not the box. `ok` is None if the mask is empty, or is thinner than `THINNEST` on the canvas or in the
    source. The check detects a flip, a rotation and a wrong position. It does not detect a slightly wrong scale.
    """
    window: npt.NDArray[np.bool_] = canvas[rows] >= FOREGROUND
    across = _covered(box.left, box.stretched_width, box)
    down = _covered(box.top, box.stretched_height, box)
    first = max(rows.start, down.start)
    inside = window[first - rows.start : max(first, down.stop) - rows.start, across]
    columns, lines = inside.sum(axis=0, dtype=np.uint16), inside.sum(axis=1, dtype=np.uint16)
    area = int(columns.sum(dtype=np.int64))
    padding = int(np.count_nonzero(window)) - area
    if not area or measures.centroid is None:
        return SelfCheck(shift_px=None, padding_px=padding, ok=None)
    x = _in_source(across.start + _mean(columns, area), box.left, box.width / box.stretched_width, box)
    y = _in_source(first + _mean(lines, area), box.top, box.height / box.stretched_height, box)
    shift = x - measures.centroid[0], y - measures.centroid[1]
    ok = None
    extent = _length(columns), _length(lines)
    if min(area / max(extent), _thickness(measures)) >= THINNEST:
        near = all(abs(off) < most for off, most in zip(shift, _bound(area, extent, measures, box), strict=True))
        ok = near or _boxes_agree(_ends(columns, across.start), _ends(lines, first), measures, box)
    return SelfCheck(shift_px=round(math.hypot(*shift), 3), padding_px=padding, ok=ok)


def _ends(counts: npt.NDArray[np.uint16], start: int) -> tuple[int, int]:
    """Return the first and the last canvas pixel with foreground along one axis."""
    places = span(counts)
    return start + int(places.start), start + int(places.stop) - 1


def _boxes_agree(across: tuple[int, int], down: tuple[int, int], measures: Measures, box: Letterbox) -> bool:
    """Return whether every side of the two bounding boxes agrees within half a source pixel plus a canvas pixel.

    If the two grids coincide, return False, because then the centroids must be equal.
    """
    assert measures.bbox is not None
    left, top, width, height = measures.bbox
    scales = box.scales()
    if scales == (1.0, 1.0):
        return False
    sides = (
        (across, (left, left + width - 1), box.left, box.width / box.stretched_width, scales[0]),
        (down, (top, top + height - 1), box.top, box.height / box.stretched_height, scales[1]),
    )
    return all(
        abs(_in_source(place, pad, unstretched, box) - expected) < 0.5 + 1 / scale
        for ends, theirs, pad, unstretched, scale in sides
        for place, expected in zip(ends, theirs, strict=True)
    )


def _covered(pad: int, length: int, box: Letterbox) -> slice:
    """Return the range of canvas pixels along one axis whose centres the source covers."""
    scale = box.canvas / box.side
    return slice(math.ceil(pad * scale - 0.5), math.ceil((pad + length) * scale - 0.5))


def _in_source(place: float, pad: int, unstretched: float, box: Letterbox) -> float:
    """Convert a canvas coordinate to a source coordinate. In both, the centre of the first pixel is 0."""
    return ((place + 0.5) * box.side / box.canvas - pad) * unstretched - 0.5


def _bound(area: int, extent: tuple[int, int], measures: Measures, box: Letterbox) -> tuple[float, float]:
    """Return how far apart the centroids may be, horizontally and vertically, in source pixels.

    If the two grids coincide, the centroids should be equal, and half a pixel is allowed. Otherwise, the bound is the
    sum of two shifts:

    - Every edge of the mask is within half a source pixel of the line where the probability crosses the threshold.
      Every edge on the canvas is within half a canvas pixel of that line. The sum of the two distances bounds the shift
      of a shape whose edges are all off in the same direction.
    - A detail that is finer than a pixel may exist in only one of the grids. If such details are a fraction of the
      area, they move the centroid by at most the same fraction of the extent. Their area is estimated as the difference
      of the two areas, plus an allowance for details that cancel each other out in this difference. The allowance is
      two pixels of the coarser grid, times the square root of the number of components less one.
    """
    scales = box.scales()
    if scales == (1.0, 1.0):
        return 0.5, 0.5
    pixels = 1 / scales[0], 1 / scales[1]
    on_canvas, in_source = area * pixels[0] * pixels[1], measures.area_px
    coarse = max(1.0, pixels[0]) * max(1.0, pixels[1])
    unseen = 2 * coarse * math.sqrt(max(0, measures.components - 1))
    share = (abs(on_canvas - in_source) + unseen) / max(on_canvas, in_source)
    across, down = (0.5 + pixel / 2 + share * long * pixel for pixel, long in zip(pixels, extent, strict=True))
    return across, down


def _thickness(measures: Measures) -> float:
    return measures.area_px / max(measures.bbox[2:]) if measures.bbox else 0.0


def _mean(counts: npt.NDArray[np.uint16], area: int) -> float:
    return int(counts.astype(np.int64) @ np.arange(counts.size)) / area


def _length(counts: npt.NDArray[np.uint16]) -> int:
    places = span(counts)
    return int(places.stop) - int(places.start)
