"""Deeper than 8 bits → 8 bits, the way the model's training pictures were made.

Source: the model's own pre-processing (BiomedParse, `process_intensity_image`): percentiles 0.5 and 99.5 of the
pixels above 0, clip to them, scale linearly to 0..255. After the clip the smallest and largest value *are* the two
percentiles, so its min-max scaling is `(value − low) / (high − low) × 255`. Rounding, which it leaves to the
resize, is half up here: `floor(x + 0.5)`, computed in float64.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

PERCENTILES = (0.5, 99.5)

NONE = "none"
POSITIVE = "percentile-0.5-99.5-positive"
EVERY = "percentile-0.5-99.5-all"
RANGE = "min-max"
CONSTANT = "constant"


def scaled_to_bytes(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], str]:
    """Scale any integer or float array to uint8 of the same shape; also the name of what was done.

    Names: `percentile-0.5-99.5-positive` as a rule; `percentile-0.5-99.5-all` when no pixel is above 0; `min-max`
    when both percentiles fall on one value; `constant` when all finite pixels are equal (the answer is black).
    NaN becomes 0, −inf 0, +inf 255; none of them counts for the percentiles.
    """
    low, high, name = _limits(values)
    if high <= low:
        return np.zeros(values.shape, np.uint8), CONSTANT
    if values.dtype == np.uint16:  # 65,536 sums instead of one for each pixel
        table = _line(np.arange(1 << 16, dtype=np.uint16), low, high)
        return table[values], name
    return _line(values, low, high), name


def _limits(values: npt.NDArray[Any]) -> tuple[float, float, str]:
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if finite.size == 0:
        return 0.0, 0.0, CONSTANT
    positive = finite[finite > 0]
    chosen, name = (positive, POSITIVE) if positive.size else (finite, EVERY)
    # float32 would be interpolated in float32, and a percentile could then miss its own pixel by a rounding
    low, high = (float(limit) for limit in np.percentile(chosen.ravel().astype(_exact(chosen)), PERCENTILES))
    if high > low:
        return low, high, name
    return float(finite.min()), float(finite.max()), RANGE


def _exact(values: npt.NDArray[Any]) -> npt.DTypeLike:
    return np.float64 if values.dtype.kind == "f" else values.dtype


def _line(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    scaled = values.astype(np.float64)
    scaled -= low
    scaled *= 255.0 / (high - low)
    scaled += 0.5
    np.clip(scaled, 0.0, 255.0, out=scaled)
    np.nan_to_num(scaled, copy=False, nan=0.0)
    return np.floor(scaled, out=scaled).astype(np.uint8)
