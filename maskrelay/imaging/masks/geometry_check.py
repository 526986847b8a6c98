"""Geometry check: compare the position of a mask in the source with a second computation from the canvas map."""

import math

import numpy as np
import numpy.typing as npt

from maskrelay.contract.records.outcomes import Measures, SelfCheck
from maskrelay.imaging.canvas.letterbox import Letterbox
from maskrelay.imaging.masks.mask import FOREGROUND
from maskrelay.imaging.side_spans import span

#: The least thickness (area over longer side) of a mask, in source and canvas pixels: thinner masks, and those of fewer
#: than 16 pixels, are too ragged for a verdict.
THINNEST = 4


def self_check(canvas: npt.NDArray[np.uint8], rows: slice, measures: Measures, box: Letterbox) -> SelfCheck:
    """Compare the mask's centroid with the centroid of the foreground of its (canvas, canvas) uint8 map.

    rows: the canvas rows that hold all of the foreground. The centroid of the map, taken over the area that the source
    covers, is converted to source coordinates with the numbers of `box` alone; `shift_px` is the distance between the
    two in source pixels. `padding_px` is the foreground in the padding, in canvas pixels, which no mask can show. `ok`
    is true if the pixel grids explain the shift (see `_bound`), or if the bounding boxes agree: where the grids make
    parts thicker or thinner, the centroid moves and the box does not. It is None for an empty mask, and for one that is
    thinner than `THINNEST` on the canvas or in the source. The check detects a flip, a rotation and a wrong position,
    but not a slightly wrong scale about the right position.
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
        near = all(abs(one) < most for one, most in zip(shift, _bound(area, extent, measures, box), strict=True))
        ok = near or _boxes_agree(_ends(columns, across.start), _ends(lines, first), measures, box)
    return SelfCheck(shift_px=round(math.hypot(*shift), 3), padding_px=padding, ok=ok)


def _ends(counts: npt.NDArray[np.uint16], start: int) -> tuple[int, int]:
    """The first and the last canvas pixel along one side with any foreground."""
    places = span(counts)
    return start + int(places.start), start + int(places.stop) - 1


def _boxes_agree(across: tuple[int, int], down: tuple[int, int], measures: Measures, box: Letterbox) -> bool:
    """Whether every side of the two bounding boxes agrees within half a source pixel plus a canvas pixel.

    Never true if the two grids coincide: then the centroids are equal, or the mask was moved.
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
    """The canvas pixels along one side whose centre the source covers."""
    scale = box.canvas / box.side
    return slice(math.ceil(pad * scale - 0.5), math.ceil((pad + length) * scale - 0.5))


def _in_source(place: float, pad: int, unstretched: float, box: Letterbox) -> float:
    """Convert a canvas coordinate to a source coordinate; the centre of the first pixel is 0 in both."""
    return ((place + 0.5) * box.side / box.canvas - pad) * unstretched - 0.5


def _bound(area: int, extent: tuple[int, int], measures: Measures, box: Letterbox) -> tuple[float, float]:
    """How far apart the centroids may be, horizontally and vertically, in source pixels.

    If the grids coincide, half a pixel: the centroids are equal. Otherwise every edge of the mask is within half a
    source pixel of where the probability crosses the threshold, and every edge on the canvas within half a canvas
    pixel; their sum bounds the shift of a shape whose edges are all off in the same direction. In addition, details
    finer than a pixel may exist in one grid and not in the other, and that share of the area moves the centroid by at
    most its share of the extent. The difference of the two areas is known; the part of it that cancels out grows with
    the square root of the number of components, by about two pixels each.
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
