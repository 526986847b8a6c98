"""Masks for tests, from plain arrays."""

import numpy as np

from maskrelay.imaging.masks.mask import Mask


def mask_of(found: np.ndarray, probability: np.ndarray | None = None) -> Mask:
    """Return the mask of a (height, width) array of bools. Without probabilities, they are 255 where it is True."""
    return Mask.cut(found, found.view(np.uint8) * np.uint8(255) if probability is None else probability)
