"""Drawing of masks in an image: a translucent tint, an outline, and a thin dark line around the outline."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.bands import bands
from maskrelay.imaging.draw.palette import Colour, colour_of

Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]

_TINT = 0.28
_SHADE = 0.35  # the opacity of the dark line, which makes an outline visible on an image of the same colour
_DARK: Colour = (0, 0, 0)
_PIXELS_PER_LINE = 480  # the width of an outline is the shorter side of the image divided by this


def tinted(pixels: Pixels, masks: Sequence[Mask]) -> Pixels:
    """Return a new (height, width, 3) uint8 image with the masks drawn over the pixels.

    All tints are drawn before all outlines, and earlier masks before later masks.
    """
    picture = np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels.copy()
    line = max(1, round(min(picture.shape[:2]) / _PIXELS_PER_LINE))
    windows = [_window(mask, 1 + line) for mask in masks]
    for number, (mask, window) in enumerate(zip(masks, windows, strict=True)):
        _blend(picture[window], mask[window], colour_of(number), _TINT)
    for number, (mask, window) in enumerate(zip(masks, windows, strict=True)):
        inside, part = mask[window], picture[window]
        _blend(part, ~_eroded(~inside, max(1, line // 2)) & ~inside, _DARK, _SHADE)
        _blend(part, inside & ~_eroded(inside, line), colour_of(number), 1.0)
    return picture


def _window(mask: Mask, margin: int) -> tuple[slice, slice]:
    """Return the smallest part of the image that contains the mask and a margin around it."""
    return _span(np.count_nonzero(mask, axis=1), margin), _span(np.count_nonzero(mask, axis=0), margin)


def _span(counts: npt.NDArray[np.int64], margin: int) -> slice:
    places = np.flatnonzero(counts)
    if not places.size:
        return slice(0, 0)
    return slice(max(0, int(places[0]) - margin), int(places[-1]) + 1 + margin)


def _blend(part: Pixels, where: Mask, colour: Colour, strength: float) -> None:
    weight = round(strength * 256)
    over = np.array(colour, np.uint16) * weight
    for rows in bands(part.shape):
        band, here = part[rows], where[rows]
        under = band[here].astype(np.uint16) * (256 - weight)
        band[here] = ((under + over) >> 8).astype(np.uint8)


def _eroded(mask: Mask, steps: int) -> Mask:
    """Return the mask without the outermost `steps` pixels. Nothing is removed at the border of the frame.

    Diamond-shaped and square neighbourhoods alternate. Together they approximate a circle better than either alone.
    """
    for step in range(steps):
        across = mask.copy()
        across[:, 1:] &= mask[:, :-1]
        across[:, :-1] &= mask[:, 1:]
        source = across if step % 2 else mask
        shrunk = across.copy()
        shrunk[1:] &= source[:-1]
        shrunk[:-1] &= source[1:]
        mask = shrunk
    return mask
