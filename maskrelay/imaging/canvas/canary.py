"""The canary: an image that every working deployment can segment.

It is scored before a gate opens again, and before a failure counts as an attempt of a frame.
"""

import functools

import numpy as np

from maskrelay.contract.wire.image2d import CANVAS, Row
from maskrelay.imaging.canvas.encode import canvas_png


@functools.cache
def canary() -> Row:
    """Return the canary as a row of a request. It shows a bright disc on black, and contains no patient data."""
    across = np.arange(CANVAS) - CANVAS // 2
    inside = across[:, None] ** 2 + across[None, :] ** 2 < (CANVAS // 4) ** 2
    gray = np.where(inside, np.uint8(200), np.uint8(0))
    return Row(canvas_png(np.repeat(gray[:, :, None], 3, axis=2)), ("liver in abdomen CT",))
