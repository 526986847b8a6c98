"""All of an item on one page: its frames as small overlays, numbered, with a legend."""

import io
from collections.abc import Callable, Sequence
from math import ceil, sqrt
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from maskrelay.imaging.legend import Entry, draw_legend
from maskrelay.imaging.lettering import font_of
from maskrelay.imaging.png import png
from maskrelay.imaging.tint import tinted

#: The longer side of a thumbnail, in pixels.
THUMBNAIL = 160
MOST_TILES = 400
#: A frame's thumbnail by its place in the item, PNG; None where there is none (the frame failed).
ThumbnailOf = Callable[[int], bytes | None]
_Pixels = npt.NDArray[np.uint8]

_PAPER = (22, 24, 28)
_INK = (236, 238, 240)
_GAP = 4  # pixels between tiles, and around them
_FONT = 14
_WIDE = 1.5  # columns to rows: a page is looked at on a screen


def thumbnail(pixels: _Pixels, masks: Sequence[npt.NDArray[np.bool_]]) -> bytes:
    """A frame with its masks' tints and outlines as a PNG of at most THUMBNAIL pixels a side; never enlarged.

    pixels: (height, width) or (height, width, 3) uint8; masks: (height, width) bool. A mask is reduced so that what is
    small stays visible: a pixel of the thumbnail belongs to it if an eighth of what it stands for does.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, THUMBNAIL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    return png(tinted(small, [_reduced(mask, size) for mask in masks]))


def _reduced(mask: npt.NDArray[np.bool_], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    image = Image.fromarray(mask.view(np.uint8) * np.uint8(255))
    return np.asarray(image.resize(size, Image.Resampling.BOX)) >= 32


def sampled(frames: int) -> list[int]:
    """The places that are shown: all, or MOST_TILES of them evenly spread, the first and the last among them."""
    if frames <= MOST_TILES:
        return list(range(frames))
    return [round(tile * (frames - 1) / (MOST_TILES - 1)) for tile in range(MOST_TILES)]


def write_contact_sheet(out: BinaryIO, frames: int, thumbnail_of: ThumbnailOf, legend: Sequence[Entry]) -> None:
    """Write one PNG: at most MOST_TILES thumbnails in rows, each with its frame's place (from 0), and the legend below.

    A frame without a thumbnail leaves its place dark, with its number.
    """
    places = sampled(frames)
    tiles = [thumbnail_of(place) for place in places]  # some 20 kB each as they are, five times that opened
    cell = _cell(tiles)
    columns = min(len(places), ceil(sqrt(len(places) * _WIDE * cell[1] / cell[0])))
    width = _GAP + columns * (cell[0] + _GAP)
    height = _GAP + ceil(len(places) / columns) * (cell[1] + _GAP)
    words = draw_legend(list(legend), width, height)
    sheet = Image.new("RGB", (max(width, words.shape[1]), height + words.shape[0]), _PAPER)
    sheet.paste(Image.fromarray(words), (0, height))
    draw = ImageDraw.Draw(sheet)
    for number, (place, tile) in enumerate(zip(places, tiles, strict=True)):
        row, column = divmod(number, columns)
        corner = _GAP + column * (cell[0] + _GAP), _GAP + row * (cell[1] + _GAP)
        if tile is not None:
            with Image.open(io.BytesIO(tile)) as image:
                middle = (cell[0] - image.width) // 2, (cell[1] - image.height) // 2
                sheet.paste(image, (corner[0] + middle[0], corner[1] + middle[1]))
        _number(draw, corner, place)
    sheet.save(out, "PNG", compress_level=1)


def _cell(tiles: Sequence[bytes | None]) -> tuple[int, int]:
    """What holds every thumbnail, and a number."""
    sizes = [_size(tile) for tile in tiles if tile is not None] or [(THUMBNAIL, THUMBNAIL)]
    return max(32, *(width for width, _ in sizes)), max(20, *(height for _, height in sizes))


def _size(tile: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(tile)) as image:
        return image.size


def _number(draw: ImageDraw.ImageDraw, corner: tuple[int, int], place: int) -> None:
    """In the top left corner, on a dark ground so that it can be read on any picture."""
    font = font_of(_FONT)
    left, top, right, bottom = draw.textbbox((corner[0] + 3, corner[1] + 2), str(place), font=font)
    draw.rectangle((left - 3, top - 2, right + 2, bottom + 2), fill=_PAPER)
    draw.text((corner[0] + 3, corner[1] + 2), str(place), font=font, fill=_INK)
