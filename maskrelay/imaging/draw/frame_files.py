"""Per-frame artifact files: mask, probability map and overlay, each as a PNG without metadata."""

from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.bands import bands
from maskrelay.imaging.draw.legend import LegendEntry, draw_legend
from maskrelay.imaging.draw.palette import colour_of
from maskrelay.imaging.draw.tint import tinted
from maskrelay.imaging.masks.mask import Mask
from maskrelay.imaging.png import part_png, png, write_rgb_png


def mask_png(mask: Mask) -> bytes:
    """Encode a mask as 8-bit grayscale PNG in the size of the frame, 255 where the mask is true."""
    return part_png(np.negative(mask.inside.view(np.uint8)), mask.window, mask.size)  # 1 becomes 255


def probability_png(probability: npt.NDArray[np.uint8]) -> bytes:
    """Encode a (height, width) uint8 probability map, 0..255, as 8-bit grayscale PNG of the same values."""
    return png(probability)


def overlay_png(pixels: npt.NDArray[np.uint8], masks: Sequence[npt.NDArray[np.bool_]], labels: Sequence[str]) -> bytes:
    """Return an RGB PNG of the source with the masks as translucent colours and outlines, and a legend below it.

    pixels: (height, width) or (height, width, 3) uint8; masks: (height, width) bool each; labels: one for each mask.
    The image keeps its size at the top left corner, and nothing but the masks is drawn over it. The legend is wider
    than a narrow image. An empty mask appears in the legend too, marked as empty.
    """
    picture = tinted(pixels, masks)
    entries = [
        LegendEntry(label, colour_of(number), empty=not mask.any())
        for number, (mask, label) in enumerate(zip(masks, labels, strict=True))
    ]
    legend = draw_legend(entries, picture.shape[1], picture.shape[0])
    out = BytesIO()
    write_rgb_png(out, legend.shape[1], len(picture) + len(legend), _sheet(picture, legend))
    return out.getvalue()


def _sheet(picture: npt.NDArray[np.uint8], legend: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the image in bands as wide as the legend, then the legend."""
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
