"""The canary: an image that every working deployment can segment.

It is scored before a gate opens again, and before a failure counts as an attempt of a frame.
"""

import functools

import numpy as np
import numpy.typing as npt

from maskrelay.contract.wire.image2d import CANVAS, Row
from maskrelay.imaging.canvas.encode import canvas_png, canvas_webp

_PROMPTS = ("liver in abdomen CT",)


@functools.cache
def canary() -> Row:
    """Return the canary as a row of a request. It shows a bright disc on black, and contains no patient data."""
    return Row(canvas_png(_disc(200, 200, 200)), _PROMPTS)


def gray_pair() -> tuple[Row, Row]:
    """Return the canary as an RGB PNG and as a grayscale PNG, to compare an endpoint's answers to both."""
    return canary(), Row(canvas_png(_disc(200, 200, 200)[:, :, 0], gray=True), _PROMPTS)


def webp_pair() -> tuple[Row, Row]:
    """Return a disc with three different channels as an RGB PNG and as a lossless WebP, to compare the answers."""
    disc = _disc(210, 190, 170)
    return Row(canvas_png(disc), _PROMPTS), Row(canvas_webp(disc), _PROMPTS)


def _disc(*colour: int) -> npt.NDArray[np.uint8]:
    """Return a canvas with a disc of this colour on black."""
    across = np.arange(CANVAS) - CANVAS // 2
    inside = across[:, None] ** 2 + across[None, :] ** 2 < (CANVAS // 4) ** 2
    return np.where(inside[:, :, None], np.array(colour, np.uint8), np.uint8(0))
