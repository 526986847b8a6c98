"""The contact sheet of an item: its frames as small numbered overlays on one page, with a legend."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil, sqrt
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from maskrelay.imaging.draw.legend import LegendEntry, draw_legend
from maskrelay.imaging.draw.lettering import font_of
from maskrelay.imaging.draw.tint import tinted
from maskrelay.imaging.png import png, write_rgb_png

#: The largest length of the longer side of a thumbnail, in pixels.
THUMBNAIL = 160
#: The largest number of frames on a contact sheet.
MOST_TILES = 400
#: A function that returns the thumbnail of a frame as a PNG file, or None if the frame failed. The argument of the
#: function is the number of the frame within the item.
ThumbnailOf = Callable[[int], bytes | None]
_Pixels = npt.NDArray[np.uint8]
_Size = tuple[int, int]

_PAPER = (22, 24, 28)
_INK = (236, 238, 240)
_GAP = 4  # the distance between tiles, and around them, in pixels
_FONT = 14
_WIDE = 1.5  # the approximate ratio of the sheet's width to its height, which is suitable for a screen


def thumbnail(pixels: _Pixels, masks: Sequence[npt.NDArray[np.bool_]]) -> bytes:
    """Return a small PNG file of a frame with its masks as tints and outlines.

    `pixels` are uint8 in the shape (height, width) or (height, width, 3). `masks` are bool in the shape (height,
    width). The thumbnail has at most THUMBNAIL pixels on each side, and is never larger than the frame. Small masks
    stay visible, because a pixel of the thumbnail belongs to a mask if at least an eighth of the frame's pixels that it
    represents belong to the mask.
    """
    size = _reduced_size(*pixels.shape[:2])
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    return png(tinted(small, [_reduced(mask, size) for mask in masks]))


def _reduced_size(height: int, width: int) -> tuple[int, int]:
    """Return (width, height) of the thumbnail."""
    scale = min(1.0, THUMBNAIL / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _reduced(mask: npt.NDArray[np.bool_], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    image = Image.fromarray(mask.view(np.uint8) * np.uint8(255))
    return np.asarray(image.resize(size, Image.Resampling.BOX)) >= 32


def sampled(frames: int) -> list[int]:
    """Return the numbers of the frames on the contact sheet.

    They are all frames, or MOST_TILES evenly spaced frames including the first and the last.
    """
    if frames <= MOST_TILES:
        return list(range(frames))
    return [round(tile * (frames - 1) / (MOST_TILES - 1)) for tile in range(MOST_TILES)]


def write_contact_sheet(
    out: BinaryIO, frames: int, sizes: Iterable[_Size], thumbnail_of: ThumbnailOf, legend: Sequence[LegendEntry]
) -> None:
    """Write the contact sheet as one PNG file: at most MOST_TILES thumbnails in rows, and the legend below.

    Each thumbnail shows the number of its frame, counted from 0. If a frame has no thumbnail, its place is dark and
    shows only the number. `sizes` contains the different sizes (height, width) of the frames. Only one row of
    thumbnails is in memory at a time.
    """
    places = sampled(frames)
    cell = _cell(sizes)
    columns = min(len(places), ceil(sqrt(len(places) * _WIDE * cell[1] / cell[0])))
    rows = ceil(len(places) / columns)
    height = _GAP + rows * (cell[1] + _GAP)
    words = draw_legend(list(legend), _GAP + columns * (cell[0] + _GAP), height)
    width = max(_GAP + columns * (cell[0] + _GAP), words.shape[1])

    def bands() -> Iterator[_Pixels]:
        for first in range(0, len(places), columns):
            yield _row(places[first : first + columns], cell, width, thumbnail_of)
        below = np.full((_GAP + words.shape[0], width, 3), _PAPER, np.uint8)
        below[_GAP:, : words.shape[1]] = words
        yield below

    write_rgb_png(out, width, height + words.shape[0], bands())


def _row(places: Sequence[int], cell: tuple[int, int], width: int, thumbnail_of: ThumbnailOf) -> _Pixels:
    """Return a row of tiles with the gap above them, as pixels of shape (gap + height of a cell, width, 3)."""
    row = Image.new("RGB", (width, _GAP + cell[1]), _PAPER)
    draw = ImageDraw.Draw(row)
    for column, place in enumerate(places):
        left = _GAP + column * (cell[0] + _GAP)
        tile = thumbnail_of(place)
        if tile is not None:
            with Image.open(io.BytesIO(tile)) as image:
                row.paste(image, (left + (cell[0] - image.width) // 2, _GAP + (cell[1] - image.height) // 2))
        _number(draw, (left, _GAP), place)
    return np.asarray(row)


def _cell(sizes: Iterable[_Size]) -> tuple[int, int]:
    """Return (width, height) of a cell that is large enough for every thumbnail and for a number."""
    reduced = [_reduced_size(*size) for size in sizes] or [(THUMBNAIL, THUMBNAIL)]
    return max(32, *(width for width, _ in reduced)), max(20, *(height for _, height in reduced))


def _number(draw: ImageDraw.ImageDraw, corner: tuple[int, int], place: int) -> None:
    """Draw the number in the top left corner, on a dark background that makes it legible on any image."""
    font = font_of(_FONT)
    left, top, right, bottom = draw.textbbox((corner[0] + 3, corner[1] + 2), str(place), font=font)
    draw.rectangle((left - 3, top - 2, right + 2, bottom + 2), fill=_PAPER)
    draw.text((corner[0] + 3, corner[1] + 2), str(place), font=font, fill=_INK)
