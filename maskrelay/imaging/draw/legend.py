"""The legend below an overlay, which shows the colour of each prompt."""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from maskrelay.imaging.draw.lettering import (
    Font,
    clean,
    font_of,
    wrap,
)
from maskrelay.imaging.draw.palette import Colour

_PAPER: Colour = (22, 24, 28)
_INK: Colour = (236, 238, 240)
_FAINT: Colour = (158, 162, 168)
_NARROWEST = 300  # the minimum width in pixels, which makes a prompt of a few words legible below a small image
_SMALLEST, _LARGEST = 14, 96  # the sizes of the font in pixels
_LINES = 3  # the largest number of lines for one prompt


@dataclass(frozen=True)
class LegendEntry:
    """One entry of the legend: the prompt's label, its colour, and whether its mask is empty."""

    label: str
    colour: Colour
    empty: bool


@dataclass(frozen=True)
class _Block:
    """An entry of the legend that is divided into lines, with its width and its top left corner in pixels."""

    entry: LegendEntry
    lines: list[str]
    width: float
    x: float = 0
    y: float = 0


@dataclass(frozen=True)
class _Setting:
    """The font of a legend, and the distances that depend on its size, in pixels."""

    font: Font
    size: int
    width: int

    @property
    def margin(self) -> float:
        return self.size * 0.8

    @property
    def line(self) -> float:
        return self.size * 1.3

    @property
    def swatch(self) -> float:
        return self.size * 1.4

    @property
    def gap(self) -> float:
        return self.size * 1.4

    @property
    def indent(self) -> float:
        return self.swatch + self.size * 0.5


def draw_legend(entries: list[LegendEntry], width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return the legend for an image of `width` × `height` pixels, as a uint8 array of shape (rows, columns, 3).

    The legend is at least as wide as the image.
    """
    size = round(min(max(min(sqrt(width * height) / 48, width / 20), _SMALLEST), _LARGEST))
    setting = _Setting(font_of(size), size, max(width, _NARROWEST))
    blocks, depth = _placed([_set(entry, setting) for entry in entries], setting)
    strip = Image.new("RGB", (setting.width, depth), _PAPER)
    draw = ImageDraw.Draw(strip)
    for block in blocks:
        _draw(draw, block, setting)
    return np.asarray(strip)


def _set(entry: LegendEntry, setting: _Setting) -> _Block:
    room = setting.width - 2 * setting.margin - setting.indent
    words = f"{clean(entry.label)} (empty)" if entry.empty else clean(entry.label)
    lines = wrap(words, setting.font, room, _LINES) or [""]
    return _Block(entry, lines, setting.indent + max(setting.font.getlength(line) for line in lines))


def _placed(blocks: list[_Block], setting: _Setting) -> tuple[list[_Block], int]:
    """Place the blocks in columns, row by row. Return them and the height of the legend.

    A block that is too wide for its column has a row of its own.
    """
    column, columns = _columns(blocks, setting)
    placed: list[_Block] = []
    place, y, deepest = 0, setting.margin * 0.8, 0.0
    for block in blocks:
        alone = block.width > column
        if place == columns or (alone and place):
            place, y, deepest = 0, y + deepest + setting.size * 0.3, 0.0
        x = setting.margin + place * (column + setting.gap)
        placed.append(_Block(block.entry, block.lines, block.width, x, y))
        place = columns if alone else place + 1
        deepest = max(deepest, len(block.lines) * setting.line)
    return placed, ceil(y + deepest + setting.margin * 0.8)


def _columns(blocks: list[_Block], setting: _Setting) -> tuple[float, int]:
    """Return the width and the number of the columns.

    A column is as wide as the widest block that is narrow enough for two columns. Wider blocks get rows of their own.
    If all blocks are wider, there is one column.
    """
    room = setting.width - 2 * setting.margin
    narrow = [block.width for block in blocks if 2 * block.width + setting.gap <= room]
    column = max(narrow, default=room)
    return column, int((room + setting.gap) // (column + setting.gap))


def _draw(draw: ImageDraw.ImageDraw, block: _Block, setting: _Setting) -> None:
    colour, size = block.entry.colour, setting.size
    tint = tuple(round(paper * 0.55 + part * 0.45) for paper, part in zip(_PAPER, colour, strict=True))
    top = block.y + (setting.line - size) / 2
    draw.rounded_rectangle(
        (round(block.x), round(top), round(block.x + setting.swatch), round(top + size)),
        radius=size / 6,
        fill=None if block.entry.empty else tint,
        outline=colour,
        width=max(2, round(size / 9)),
    )
    ink = _FAINT if block.entry.empty else _INK
    for number, words in enumerate(block.lines):
        middle = block.y + (number + 0.5) * setting.line
        draw.text((block.x + setting.indent, middle), words, font=setting.font, fill=ink, anchor="lm")
