"""Conversion of a loaded Pillow image to an array, in bands of rows.

For a whole image, `np.asarray` would allocate twice the size of the image, and a conversion would allocate as much
again. In bands, only the result and the memory for one band are allocated.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

#: The number of pixels that are converted at a time.
_AT_ONCE = 1 << 21


def _unchanged(image: Image.Image) -> Image.Image:
    return image


def array_of(image: Image.Image, change: Callable[[Image.Image], Any] = _unchanged) -> npt.NDArray[Any]:
    """Return a loaded image, converted by `change`, as an array of shape (height, width) or (height, width, channels).

    `change` converts a band of rows to an image or an array with the same rows. Each pixel of its result must depend
    only on the same pixel of the band.
    """
    rows = max(1, _AT_ONCE // image.width)
    if image.height <= rows:
        return np.asarray(change(image))
    whole: npt.NDArray[Any] | None = None
    for first in range(0, image.height, rows):
        behind = min(first + rows, image.height)
        band = np.asarray(change(image.crop((0, first, image.width, behind))))
        if whole is None:
            whole = np.empty((image.height, *band.shape[1:]), band.dtype)
        whole[first:behind] = band
    assert whole is not None
    return whole
