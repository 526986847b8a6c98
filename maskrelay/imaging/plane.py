"""A plane: the samples of one frame in the units of the source, before they are converted to 8 bits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Plane:
    """The samples of one frame."""

    #: The values of a gray frame, as integers or floats of shape (height, width) in the units of the source (HU for
    #: CT), or the colours of an RGB frame, as integers of shape (height, width, 3).
    values: npt.NDArray[Any]
    #: The bits per sample in the source. Unsigned samples of at most 8 bits range from 0 to `white` in `values`. Apart
    #: from scaling to 255, they are converted further only if a window is requested.
    bits: int
    #: Whether the lowest value means white (MONOCHROME1). If so, the frame is inverted after windowing.
    inverted: bool = False
    #: A (height, width) bool array that is true where a pixel contains no measurement. Such pixels become black and are
    #: not included in statistics. None if every pixel contains a measurement.
    padding: npt.NDArray[np.bool_] | None = None
    #: The value that is white without a window. It matters only for unsigned samples of at most 8 bits.
    white: int = 255
