"""Arrays as PNG."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """(height, width) → 8-bit grayscale, (height, width, 3) → 8-bit RGB; pixels only, no metadata of any kind."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
