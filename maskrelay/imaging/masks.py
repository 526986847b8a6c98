"""Threshold probability maps to masks, and store a mask as its bounding box in the frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.spans import span

FOREGROUND = 128  # the model card's 127.5, in bytes

Inside = npt.NDArray[np.bool_]
Probability = npt.NDArray[np.uint8]
Window = tuple[slice, slice]


def threshold(probability: Probability) -> Inside:
    """A uint8 probability map as a mask of the same shape: true where the byte is at least 128."""
    mask: npt.NDArray[Any] = probability >= FOREGROUND
    return mask


def foreground_rows(canvas: Probability) -> slice:
    """From the first to the last row of a map that holds any foreground; `slice(0, 0)` if there is none."""
    return span(np.max(canvas, axis=1) >= FOREGROUND)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The foreground of a frame, held as the part of it outside of which there is none: most masks are small.

    size: (height, width) of the frame. window: the rows and columns of the part, which is the mask's bounding box; of
    an empty mask the whole frame. inside, probability: bool and uint8, of the part's shape.
    """

    size: tuple[int, int]
    window: Window
    inside: Inside
    probability: Probability

    @classmethod
    def of(cls, probability: Probability, *, width: int | None = None, left: int = 0) -> Self:
        """The mask of a (height, columns) map. Where its columns are only those from `left` on of a frame that is
        `width` wide, there is no foreground in the others, and an empty mask is not to be had.
        """
        return cls.cut(threshold(probability), probability, width=width, left=left)

    @classmethod
    def cut(cls, found: Inside, probability: Probability, *, width: int | None = None, left: int = 0) -> Self:
        """As `of`, with the foreground found already."""
        height, across = found.shape
        rows = span(np.logical_or.reduce(found, axis=1))
        columns = span(np.logical_or.reduce(found[rows], axis=0))
        if rows.start == rows.stop:
            rows, columns = slice(0, height), slice(0, across)
        window = rows, slice(left + columns.start, left + columns.stop)
        return cls((height, width or across), window, found[rows, columns], probability[rows, columns])

    def at(self, window: Window) -> tuple[Inside, Probability]:
        """Both in a window of the frame that lies within the mask's own; views."""
        rows, columns = (
            slice(there.start - own.start, there.stop - own.start)
            for there, own in zip(window, self.window, strict=True)
        )
        return self.inside[rows, columns], self.probability[rows, columns]

    def whole(self) -> Inside:
        """(height, width) bool."""
        found = np.zeros(self.size, np.bool_)
        found[self.window] = self.inside
        return found


@dataclass(frozen=True, slots=True, eq=False)
class PackedMask:
    """A mask of a large frame, eight pixels a byte. rows: those of the frame that `bits` holds, in whole rows."""

    size: tuple[int, int]
    rows: slice
    bits: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, mask: Mask) -> Self:
        rows, columns = mask.window
        begin = columns.start & ~7  # packed from a whole byte on
        found = np.zeros((rows.stop - rows.start, columns.stop - begin), np.bool_)
        found[:, columns.start - begin :] = mask.inside
        bits = np.zeros((len(found), -(-mask.size[1] // 8)), np.uint8)
        packed = np.packbits(found, axis=1)
        bits[:, begin // 8 : begin // 8 + packed.shape[1]] = packed
        return cls(mask.size, rows, bits)

    def meets(self, other: Self) -> bool:
        """Whether both have a pixel in common; the other is of the same frame."""
        start, stop = max(self.rows.start, other.rows.start), min(self.rows.stop, other.rows.stop)
        if start >= stop:
            return False
        mine, theirs = (one.bits[start - one.rows.start : stop - one.rows.start] for one in (self, other))
        return bool((mine & theirs).any())

    def whole(self) -> Inside:
        """(height, width) bool."""
        found = np.zeros(self.size, np.bool_)
        found[self.rows] = np.unpackbits(self.bits, axis=1, count=self.size[1]).view(np.bool_)
        return found


class WholeMasks(Sequence[Inside]):
    """Masks as (height, width) bool, each made when it is asked for and not kept."""

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
