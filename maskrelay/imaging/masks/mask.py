"""Threshold probability maps to masks, and store a mask as its bounding box in the frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.side_spans import span

FOREGROUND = 128  # the model card's threshold of 127.5, for integers

Inside = npt.NDArray[np.bool_]
Probability = npt.NDArray[np.uint8]
Window = tuple[slice, slice]


def threshold(probability: Probability) -> Inside:
    """Return the mask of a uint8 probability map, bool of the same shape: true where the byte is at least 128."""
    mask: npt.NDArray[Any] = probability >= FOREGROUND
    return mask


def foreground_rows(canvas: Probability) -> slice:
    """Return the range from the first to the last row of a map with any foreground; `slice(0, 0)` if there is none."""
    return span(np.max(canvas, axis=1) >= FOREGROUND)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The foreground of a frame, stored as its bounding box only, because most masks are small."""

    #: (height, width) of the frame.
    size: tuple[int, int]
    #: The rows and columns of the bounding box; of an empty mask, the whole frame.
    window: Window
    #: The mask within the window, bool.
    inside: Inside
    #: The probability map within the window, uint8.
    probability: Probability

    @classmethod
    def of(cls, probability: Probability, *, width: int | None = None, left: int = 0) -> Self:
        """Return the mask of a (height, columns) uint8 map.

        If the map covers only the columns from `left` on of a frame that is `width` wide, there must be no foreground
        in the others, and the mask must not be empty.
        """
        return cls.cut(threshold(probability), probability, width=width, left=left)

    @classmethod
    def cut(cls, found: Inside, probability: Probability, *, width: int | None = None, left: int = 0) -> Self:
        """Like `of`, with the foreground already computed."""
        height, across = found.shape
        rows = span(np.logical_or.reduce(found, axis=1))
        columns = span(np.logical_or.reduce(found[rows], axis=0))
        if rows.start == rows.stop:
            rows, columns = slice(0, height), slice(0, across)
        window = rows, slice(left + columns.start, left + columns.stop)
        return cls((height, width or across), window, found[rows, columns], probability[rows, columns])

    def at(self, window: Window) -> tuple[Inside, Probability]:
        """Return views of `inside` and `probability` in a window of the frame that lies within the mask's own."""
        rows, columns = (
            slice(there.start - own.start, there.stop - own.start)
            for there, own in zip(window, self.window, strict=True)
        )
        return self.inside[rows, columns], self.probability[rows, columns]

    def whole(self) -> Inside:
        """Return the mask over the whole frame, (height, width) bool."""
        found = np.zeros(self.size, np.bool_)
        found[self.window] = self.inside
        return found


@dataclass(frozen=True, slots=True, eq=False)
class PackedMask:
    """A mask of a large frame, packed eight pixels to a byte."""

    size: tuple[int, int]
    #: The rows of the frame that `bits` holds, at full width.
    rows: slice
    bits: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, mask: Mask) -> Self:
        rows, columns = mask.window
        begin = columns.start & ~7  # packing begins at a whole byte
        found = np.zeros((rows.stop - rows.start, columns.stop - begin), np.bool_)
        found[:, columns.start - begin :] = mask.inside
        bits = np.zeros((len(found), -(-mask.size[1] // 8)), np.uint8)
        packed = np.packbits(found, axis=1)
        bits[:, begin // 8 : begin // 8 + packed.shape[1]] = packed
        return cls(mask.size, rows, bits)

    def meets(self, other: Self) -> bool:
        """Return whether the two masks, which must be of the same frame, share a pixel."""
        start, stop = max(self.rows.start, other.rows.start), min(self.rows.stop, other.rows.stop)
        if start >= stop:
            return False
        mine, theirs = (one.bits[start - one.rows.start : stop - one.rows.start] for one in (self, other))
        return bool((mine & theirs).any())

    def whole(self) -> Inside:
        """Return the mask over the whole frame, (height, width) bool."""
        found = np.zeros(self.size, np.bool_)
        found[self.rows] = np.unpackbits(self.bits, axis=1, count=self.size[1]).view(np.bool_)
        return found


class WholeMasks(Sequence[Inside]):
    """Masks as (height, width) bool, each created on access and not kept."""

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
