"""A plane: the samples of one frame as the source stores them, before they are scaled to 8 bits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Plane:
    """The samples of one frame."""

    #: (height, width) integers or floats in the source's units (HU for CT), or (height, width, 3) RGB, uint8 or deeper.
    values: npt.NDArray[Any]
    #: Bits per sample in the source. Unsigned samples of 8 bits or fewer (scaled to 0..255 here) are shown as they are
    #: unless a window is requested.
    bits: int
    #: The lowest value is white (MONOCHROME1); the plane is inverted after windowing.
    inverted: bool = False
    #: (height, width) bool, true where a pixel holds no measurement: it becomes black and is left out of statistics.
    #: None if every pixel holds a measurement.
    padding: npt.NDArray[np.bool_] | None = None
