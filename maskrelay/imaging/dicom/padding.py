"""Padding: pixels without a measurement. Source: PS3.3 C.7.5.1.1.2 (PixelPaddingValue, PixelPaddingRangeLimit)."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from maskrelay.imaging.dicom.sample_layout import SampleLayout
from maskrelay.imaging.dicom.tags import number


def read_padding(stored: npt.NDArray[Any], dataset: Dataset, layout: SampleLayout) -> npt.NDArray[np.bool_] | None:
    """Return a bool array that is true for pixels with the padding value, or with a value in the padding range.

    Return None if there are no such pixels, or if the object has no padding value.
    """
    prefix = {32: "Float", 64: "DoubleFloat"}[layout.allocated] if layout.floating else ""
    value = number(dataset, f"{prefix}PixelPaddingValue")
    if value is None:
        return None
    limit = number(dataset, f"{prefix}PixelPaddingRangeLimit")
    ends = [_as_stored(end, layout) for end in (value, value if limit is None else limit)]
    padding = (stored >= min(ends)) & (stored <= max(ends))
    return padding if padding.any() else None


def _as_stored(value: float, layout: SampleLayout) -> float:
    """Return the padding value as it appears in stored pixels.

    Some programs write the tag without the sign, or with unused bits set.
    """
    if layout.floating:
        return value
    span = 1 << layout.stored
    word = int(value) % span
    return word - span if layout.signed and word >= span // 2 else word
