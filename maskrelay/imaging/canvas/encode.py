"""Encoding of the canvas as the PNG file that is sent to the endpoint."""

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.png import gray_as_rgb_png, png


def canvas_png(canvas: npt.NDArray[np.uint8], *, gray: bool = False) -> bytes:
    """Encode a (1024, 1024) or (1024, 1024, 3) uint8 canvas as a PNG file of the same size, without metadata.

    The PNG is 8-bit RGB, because every endpoint reads that. If `gray` is true, a gray canvas becomes a grayscale PNG.
    """
    return gray_as_rgb_png(canvas) if canvas.ndim == 2 and not gray else png(canvas)
