"""A plane: the samples of one frame as the source stores them, before they are scaled to 8 bits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Plane:
    """values: (height, width) integers or floats in the source's units (HU for CT), or (height, width, 3) RGB,
    uint8 or deeper.

    bits: of one sample in the source; unsigned ones of 8 or fewer (as 0 to 255 here) are shown as they are unless a
    window is asked for. inverted: the
    lowest value is white (MONOCHROME1): inverted after the window. padding: (height, width), true where a pixel holds
    no measurement: it becomes black and counts for no statistics; None where every pixel holds one.
    """

    values: npt.NDArray[Any]
    bits: int
    inverted: bool = False
    padding: npt.NDArray[np.bool_] | None = None
