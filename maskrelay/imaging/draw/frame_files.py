"""The artifacts of one frame, without metadata: mask, probability map and overlay as PNG, and the preview as WebP."""

from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrelay.imaging.bands import bands
from maskrelay.imaging.draw.legend import LegendEntry, draw_legend
from maskrelay.imaging.draw.palette import colour_of
from maskrelay.imaging.draw.tint import tinted
from maskrelay.imaging.masks.mask import Mask
from maskrelay.imaging.png import part_png, png, write_rgb_png

#: The longer side of a preview in pixels, at most.
PREVIEW_SIDE = 4096
_QUALITY = 90


def mask_png(mask: Mask) -> bytes:
    """Encode a mask as an 8-bit grayscale PNG of the frame's size. Pixels of the mask are 255, and all others are 0."""
    return part_png(np.negative(mask.inside.view(np.uint8)), mask.window, mask.size)  # 1 becomes 255


def probability_png(probability: npt.NDArray[np.uint8]) -> bytes:
    """Encode a (height, width) uint8 probability map as an 8-bit grayscale PNG with the same values."""
    return png(probability)


def preview_webp(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode the source as WebP, without masks. A source with a side of more than PREVIEW_SIDE pixels is scaled down.

    `pixels` has the shape (height, width) or (height, width, 3) and the dtype uint8.
    """
    picture = Image.fromarray(pixels)
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BOX)
    out = BytesIO()
    picture.save(out, "WEBP", quality=_QUALITY, method=2)
    return out.getvalue()


def overlay_png(pixels: npt.NDArray[np.uint8], masks: Sequence[npt.NDArray[np.bool_]], labels: Sequence[str]) -> bytes:
    """Return an RGB PNG of the source with its masks as translucent colours and outlines, and a legend below it.

    `pixels` has the shape (height, width) or (height, width, 3) and the dtype uint8. Each mask has the shape
    (height, width) and the dtype bool, and has a label in `labels`. The image keeps its size, and its top left corner
    is that of the PNG. Nothing except the masks is drawn over it. The legend may be wider than a narrow image. An empty
    mask is in the legend too, and is marked as empty.
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
    """Yield the image in bands of rows, which are widened to the width of the legend, and then the legend."""
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
