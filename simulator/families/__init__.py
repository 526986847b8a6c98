"""Segmentation methods, with one module for each kind of image."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float32]
"""Height × width × 3 RGB, 0..1."""

Plane = npt.NDArray[np.float32]
"""Height × width, one quantity."""

Region = npt.NDArray[np.bool_]
"""Height × width, True inside."""


@dataclass(frozen=True)
class Found:
    """A region, and the confidence of the method (0..1). Below 0.5, nothing is foreground."""

    region: Region
    confidence: float = 1.0


Finder = Callable[[Picture, str], Found]
"""Takes the picture without its black margin, and the prompt."""
