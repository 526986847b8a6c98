"""What is measured of one mask."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from maskrelay.contract.outcomes import Measures
from maskrelay.imaging.components import count_components
from maskrelay.imaging.spacing import Spacing, measurable
from maskrelay.imaging.spans import span

EMPTY = "empty"
FULL_FRAME = "full_frame"
TOUCHES_BORDER = "touches_border"
MANY_FRAGMENTS = "many_fragments"

FRAGMENTS_EXPECTED = (
    100  # more pieces than this are flagged: hundreds of nuclei are normal, of an optic disc they are not
)

Side = Literal["left", "top", "right", "bottom"]


def measure(
    mask: npt.NDArray[np.bool_],
    probability: npt.NDArray[np.uint8],
    extra_flags: Sequence[str] = (),
    *,
    spacing: Spacing | None = None,
) -> Measures:
    """Measure a (height, width) mask with its uint8 probability map of the same shape, in source pixels.

    The centroid is the mean column and row number: (0, 0) is the middle of the top left pixel. Pieces are
    8-connected. Flags: `empty`; `full_frame`; `touches_border`; `many_fragments` above `FRAGMENTS_EXPECTED` pieces;
    then `extra_flags` as given. spacing: millimetres between rows and between columns, for the area in mm².
    """
    window = span(np.logical_or.reduce(mask, axis=1)), span(np.logical_or.reduce(mask, axis=0))
    inside = mask[window]
    # a side has at most 32,767 pixels, and numpy adds bools quickly only into narrow numbers
    columns, rows = inside.sum(axis=0, dtype=np.uint16), inside.sum(axis=1, dtype=np.uint16)
    area = int(columns.sum(dtype=np.int64))
    bbox = (window[1].start, window[0].start, columns.size, rows.size)
    border = _border(bbox, mask.shape) if area else ()
    components = count_components(inside)
    findings = {
        EMPTY: area == 0,
        FULL_FRAME: area == mask.size,
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
        mean_probability=_mean_probability(inside, probability[window], area) if area else _mean_of(probability),
        border=border,
        flags=(*(name for name, found in findings.items() if found), *extra_flags),
    )


def _mean(counts: npt.NDArray[np.uint16], area: int) -> float:
    """The mean place, each taken so many times."""
    return int(counts.astype(np.int64) @ np.arange(counts.size)) / area


def _border(bbox: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[Side, ...]:
    left, top, width, height = bbox
    touched: dict[Side, bool] = {
        "left": left == 0,
        "top": top == 0,
        "right": left + width == shape[1],
        "bottom": top + height == shape[0],
    }
    return tuple(side for side, hit in touched.items() if hit)


def _mean_probability(mask: npt.NDArray[np.bool_], probability: npt.NDArray[np.uint8], area: int) -> float:
    return _total(probability * mask) / area / 255.0


def _mean_of(probability: npt.NDArray[np.uint8]) -> float:
    return _total(probability) / probability.size / 255.0


def _total(values: npt.NDArray[np.uint8]) -> int:
    return int(values.sum(axis=0, dtype=np.uint32).sum(dtype=np.uint64))
