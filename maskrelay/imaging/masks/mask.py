"""Masks, which are made from probability maps by a threshold, and are stored as their bounding box in the frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.side_spans import span

FOREGROUND = 128  # the least value of the foreground; the model card has the threshold 127.5

Inside = npt.NDArray[np.bool_]
Probability = npt.NDArray[np.uint8]
Window = tuple[slice, slice]


def threshold(probability: Probability) -> Inside:
    """Return the mask of a uint8 probability map: bool in the same shape, and true where the map is at least 128."""
    mask: npt.NDArray[Any] = probability >= FOREGROUND
    return mask


def foreground_rows(canvas: Probability) -> slice:
    """Return the range from the first to the last row with foreground, or `slice(0, 0)` if there is no foreground."""
    return span(np.max(canvas, axis=1) >= FOREGROUND)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The foreground of a frame. Only its bounding box is stored, because most masks are small."""

    #: (height, width) of the frame.
    size: tuple[int, int]
    #: The rows and columns of the bounding box. The window of an empty mask is the whole frame.
    window: Window
    #: The mask within the window, as bool.
    inside: Inside
    #: The probability map within the window, as uint8.
    probability: Probability

    @classmethod
    def of(cls, probability: Probability, *, width: int | None = None, left: int = 0) -> Self:
        """Return the mask of a (height, columns) uint8 map.

        The map may cover only a part of a frame that has `width` columns. Its first column is then column `left` of the
        frame. In this case, there must be foreground in the map, and none in the other columns of the frame.
        """
        return cls.cut(threshold(probability), probability, width=width, left=left)

    @classmethod
    def cut(cls, found: Inside, probability: Probability, *, width: int | None = None, left: int = 0) -> Self:
        """Do the same as `of`, with the foreground of the map given as `found`."""
        height, across = found.shape
        rows = span(np.logical_or.reduce(found, axis=1))
        columns = span(np.logical_or.reduce(found[rows], axis=0))
        if rows.start == rows.stop:
            rows, columns = slice(0, height), slice(0, across)
        window = rows, slice(left + columns.start, left + columns.stop)
        return cls((height, width or across), window, found[rows, columns], probability[rows, columns])

    def at(self, window: Window) -> tuple[Inside, Probability]:
        """Return views of `inside` and `probability` in a window of the frame.

        The window must be within the window of the mask.
        """
        rows, columns = (
            slice(there.start - own.start, there.stop - own.start)
            for there, own in zip(window, self.window, strict=True)
        )
        return self.inside[rows, columns], self.probability[rows, columns]

    def whole(self) -> Inside:
        """Return the mask of the whole frame as a (height, width) bool array."""
        found = np.zeros(self.size, np.bool_)
        found[self.window] = self.inside
        return found


@dataclass(frozen=True, slots=True, eq=False)
class PackedMask:
    """A mask of a large frame that stores eight pixels in each byte."""

    #: (height, width) of the frame.
    size: tuple[int, int]
    #: The rows of the frame that are stored. They are stored in full width.
    rows: slice
    bits: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, mask: Mask) -> Self:
        rows, columns = mask.window
        begin = columns.start & ~7  # the first column of a byte
        found = np.zeros((rows.stop - rows.start, columns.stop - begin), np.bool_)
        found[:, columns.start - begin :] = mask.inside
        bits = np.zeros((len(found), -(-mask.size[1] // 8)), np.uint8)
        packed = np.packbits(found, axis=1)
        bits[:, begin // 8 : begin // 8 + packed.shape[1]] = packed
        return cls(mask.size, rows, bits)

    def meets(self, other: Self) -> bool:
        """Return whether the two masks share a pixel. They must be masks of the same frame."""
        start, stop = max(self.rows.start, other.rows.start), min(self.rows.stop, other.rows.stop)
        if start >= stop:
            return False
        mine, theirs = (mask.bits[start - mask.rows.start : stop - mask.rows.start] for mask in (self, other))
        return bool((mine & theirs).any())

    def whole(self) -> Inside:
        """Return the mask of the whole frame as a (height, width) bool array."""
        found = np.zeros(self.size, np.bool_)
        found[self.rows] = np.unpackbits(self.bits, axis=1, count=self.size[1]).view(np.bool_)
        return found


class WholeMasks(Sequence[Inside]):
    """A sequence of masks as (height, width) bool arrays. An array is created on each access and is not kept."""

    def __init__(self, masks: Sequence[Mask | PackedMask]) -> None:
        self._masks = masks

    def __len__(self) -> int:
        return len(self._masks)

    @overload
    def __getitem__(self, place: int) -> Inside: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Inside]: ...

    def __getitem__(self, place: int | slice) -> Inside | Sequence[Inside]:
        return WholeMasks(self._masks[place]) if isinstance(place, slice) else self._masks[place].whole()
