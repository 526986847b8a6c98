"""Per-frame artifact files: mask, probability map and overlay, each as a PNG without metadata."""

from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.bands import bands
from maskrelay.imaging.legend import Entry, draw_legend
from maskrelay.imaging.masks import Mask
from maskrelay.imaging.palette import colour_of
from maskrelay.imaging.png import part_png, png, write_rgb_png
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
    out = BytesIO()
    write_rgb_png(out, legend.shape[1], len(picture) + len(legend), _sheet(picture, legend))
    return out.getvalue()


def _sheet(picture: npt.NDArray[np.uint8], legend: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """The picture in bands as wide as the legend, then the legend."""
    width = picture.shape[1]
    for rows in bands(picture.shape, 1 << 22):
        if width == legend.shape[1]:
            yield picture[rows]
            continue
        widened = np.empty((rows.stop - rows.start, *legend.shape[1:]), np.uint8)
        widened[...] = legend[0, 0]
        widened[:, :width] = picture[rows]
        yield widened
    yield legend
