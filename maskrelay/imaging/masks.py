"""Probability → yes or no."""

from typing import Any

import numpy as np
import numpy.typing as npt

FOREGROUND = 128  # the model card's 127.5, in bytes


def threshold(probability: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """A uint8 probability map as a mask of the same shape: true where the byte is at least 128."""
    mask: npt.NDArray[Any] = probability >= FOREGROUND
    return mask
