"""The canvas as the bytes that are sent."""

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.png import png


def canvas_png(canvas: npt.NDArray[np.uint8]) -> bytes:
    """(1024, 1024, 3) uint8 → an 8-bit RGB PNG of the same size, without metadata."""
    return png(canvas)
