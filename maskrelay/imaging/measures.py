"""What is measured of one mask."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from maskrelay.contract.outcomes import Measures
from maskrelay.imaging.components import count_components

EMPTY = "empty"
FULL_FRAME = "full_frame"
TOUCHES_BORDER = "touches_border"
MANY_FRAGMENTS = "many_fragments"

FRAGMENTS_EXPECTED = (
    100  # more pieces than this are flagged: hundreds of nuclei are normal, of an optic disc they are not
)

Side = Literal["left", "top", "right", "bottom"]
Numbers = npt.NDArray[np.int64]


def measure(
    mask: npt.NDArray[np.bool_], probability: npt.NDArray[np.uint8], extra_flags: Sequence[str] = ()
) -> Measures:
    """Measure a (height, width) mask with its uint8 probability map of the same shape, in source pixels.

    The centroid is the mean column and row number: (0, 0) is the middle of the top left pixel. Pieces are
    8-connected. Flags: `empty`; `full_frame`; `touches_border`; `many_fragments` above `FRAGMENTS_EXPECTED` pieces;
    then `extra_flags` as given.
    """
    columns: Numbers = np.count_nonzero(mask, axis=0)
    rows: Numbers = np.count_nonzero(mask, axis=1)
    area = int(rows.sum())
    border = _border(columns, rows)
    components = count_components(mask)
    findings = {
        EMPTY: area == 0,
        FULL_FRAME: area == mask.size,
        TOUCHES_BORDER: bool(border),
        MANY_FRAGMENTS: components > FRAGMENTS_EXPECTED,
    }
    return Measures(
        empty=area == 0,
        area_px=area,
        bbox=_bbox(columns, rows) if area else None,
        centroid=(_mean(columns), _mean(rows)) if area else None,
        components=components,
        mean_probability=_mean_probability(mask, probability, area),
        border=border,
        flags=(*(name for name, found in findings.items() if found), *extra_flags),
    )


def _bbox(columns: Numbers, rows: Numbers) -> tuple[int, int, int, int]:
    across, down = np.flatnonzero(columns), np.flatnonzero(rows)
    left, top = int(across[0]), int(down[0])
    return left, top, int(across[-1]) - left + 1, int(down[-1]) - top + 1


def _mean(counts: Numbers) -> float:
    return float(np.average(np.arange(counts.size), weights=counts))


def _border(columns: Numbers, rows: Numbers) -> tuple[Side, ...]:
    touched: dict[Side, bool] = {
        "left": bool(columns[0]),
        "top": bool(rows[0]),
        "right": bool(columns[-1]),
        "bottom": bool(rows[-1]),
    }
    return tuple(side for side, hit in touched.items() if hit)


def _mean_probability(mask: npt.NDArray[np.bool_], probability: npt.NDArray[np.uint8], area: int) -> float:
    chosen = probability[mask] if area else probability
    return float(chosen.mean(dtype=np.float64)) / 255.0
