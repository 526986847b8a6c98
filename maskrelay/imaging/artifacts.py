"""The files a caller asks for of one frame. PNG all of them, without metadata."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.legend import Entry, draw_legend
from maskrelay.imaging.masks import Mask
from maskrelay.imaging.palette import colour_of
from maskrelay.imaging.png import part_png, png
from maskrelay.imaging.tint import tinted


def mask_png(mask: Mask) -> bytes:
    """8-bit grayscale in the frame's size, 255 where true."""
    return part_png(np.negative(mask.inside.view(np.uint8)), mask.window, mask.size)  # 1 becomes 255


def probability_png(probability: npt.NDArray[np.uint8]) -> bytes:
    """(height, width) uint8, 0..255 → 8-bit grayscale of the same values."""
    return png(probability)


def overlay_png(pixels: npt.NDArray[np.uint8], masks: Sequence[npt.NDArray[np.bool_]], labels: Sequence[str]) -> bytes:
    """The source under translucent colours and outlines, RGB, with a legend below it.

    pixels: (height, width) or (height, width, 3) uint8; masks: (height, width) bool each, one label for each. The
    picture keeps its size and lies in the top left corner, nothing drawn over it but the masks; a narrow picture's
    legend is wider than it. An empty mask is in the legend too, and called so.
    """
    picture = tinted(pixels, masks)
    entries = [
        Entry(label, colour_of(number), empty=not mask.any())
        for number, (mask, label) in enumerate(zip(masks, labels, strict=True))
    ]
    legend = draw_legend(entries, picture.shape[1], picture.shape[0])
    height, width = picture.shape[:2]
    sheet = np.zeros((height + legend.shape[0], legend.shape[1], 3), np.uint8)
    sheet[...] = legend[0, 0]
    sheet[:height, :width] = picture
    sheet[height:] = legend
    return png(sheet)
