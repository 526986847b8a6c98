"""The measures of a mask: area, centroid, bounding box, components and flags."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from maskrelay.contract.records.outcomes import Measures
from maskrelay.imaging.masks.components import count_components
from maskrelay.imaging.masks.mask import Mask
from maskrelay.imaging.spacing import Spacing, measurable

EMPTY = "empty"
FULL_FRAME = "full_frame"
TOUCHES_BORDER = "touches_border"
MANY_FRAGMENTS = "many_fragments"

#: A mask with more components than this is flagged. Hundreds are normal for nuclei, for example, but not for organs.
FRAGMENTS_EXPECTED = 100

Side = Literal["left", "top", "right", "bottom"]


def measure(mask: Mask, extra_flags: Sequence[str] = (), *, spacing: Spacing | None = None) -> Measures:
    """Return the measures of a mask in source pixels.

    The centroid is the mean column index and the mean row index, so (0, 0) is the centre of the top left pixel. Pixels
    that share a side or a corner belong to the same component. The flags are `empty`, `full_frame`, `touches_border`,
    and `many_fragments` if there are more than FRAGMENTS_EXPECTED components. `extra_flags` follow these flags.
    `spacing` contains the distances between rows and between columns in millimetres, which are needed for the area in
    mm².
    """
    inside, (down, across) = mask.inside, mask.window
    # numpy sums bools fast only if the result has a small integer type; uint16 is enough, since a side has at most
    # 32,767 pixels
    columns, rows = inside.sum(axis=0, dtype=np.uint16), inside.sum(axis=1, dtype=np.uint16)
    area = int(columns.sum(dtype=np.int64))
    bbox = (across.start, down.start, columns.size, rows.size)
    border = _border(bbox, mask.size) if area else ()
    components = count_components(inside) if area else 0
    findings = {
        EMPTY: area == 0,
        FULL_FRAME: area == mask.size[0] * mask.size[1],
        TOUCHES_BORDER: bool(border),
        MANY_FRAGMENTS: components > FRAGMENTS_EXPECTED,
    }
    return Measures(
        empty=area == 0,
        area_px=area,
        area_mm2=area * known[0] * known[1] if (known := measurable(spacing)) else None,
        bbox=bbox if area else None,
        centroid=(bbox[0] + _mean(columns, area), bbox[1] + _mean(rows, area)) if area else None,
        components=components,
        mean_probability=_mean_of(mask.probability * inside, area) if area else _mean_of(mask.probability, inside.size),
        border=border,
        flags=(*(name for name, found in findings.items() if found), *extra_flags),
    )


def _mean(counts: npt.NDArray[np.uint16], area: int) -> float:
    """Return the mean index, weighted by the counts."""
    return int(counts.astype(np.int64) @ np.arange(counts.size)) / area


def _border(bbox: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[Side, ...]:
    left, top, width, height = bbox
    touched: dict[Side, bool] = {
        "left": left == 0,
        "top": top == 0,
        "right": left + width == size[1],
        "bottom": top + height == size[0],
    }
    return tuple(side for side, hit in touched.items() if hit)


def _mean_of(probability: npt.NDArray[np.uint8], pixels: int) -> float:
    return int(probability.sum(axis=0, dtype=np.uint32).sum(dtype=np.uint64)) / pixels / 255.0
