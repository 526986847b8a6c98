"""Connected components of a mask: their number, and the component of each pixel."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Runs:
    """The unbroken stretches of a mask's rows and the piece each belongs to.

    starts, ends: first and one-past-last position, row * stride + column. pieces: numbers, equal within a piece.
    """

    starts: Positions
    ends: Positions
    stride: int
    pieces: Positions

    def piece_at(self, rows: Positions, columns: Positions) -> Positions:
        """The piece of each of these pixels, all of them true."""
        return self.pieces[np.searchsorted(self.starts, rows * self.stride + columns, side="right") - 1]


def count_components(mask: npt.NDArray[np.bool_]) -> int:
    """The number of 8-connected pieces of a (height, width) mask."""
    pieces = runs_of(mask, corners=True).pieces
    return int(np.count_nonzero(pieces == np.arange(pieces.size)))


def runs_of(mask: npt.NDArray[np.bool_], *, corners: bool) -> Runs:
    """The runs of a (height, width) mask, joined into pieces that share sides, or `corners` too.

    Works on runs, not on pixels. Runs that touch are joined by union-find in whole arrays: each round hooks the larger
    root of every open pair under the smaller, then flattens the trees. A piece's number is that of its first run.
    """
    starts, ends, stride = _runs(mask)
    upper, lower = _touching(starts, ends, stride, corners=corners)
    root = np.arange(starts.size)
    while upper.size:
        upper, lower = root[upper], root[lower]
        apart = upper != lower
        upper, lower = upper[apart], lower[apart]
        np.minimum.at(root, np.maximum(upper, lower), np.minimum(upper, lower))
        _flatten(root)
    return Runs(starts, ends, stride, root)


def _runs(mask: npt.NDArray[np.bool_]) -> tuple[Positions, Positions, int]:
    """First and one-past-last position of each run, in a raster that has one empty column more than the mask."""
    height, width = mask.shape
    stride = width + 1
    flat = np.zeros(1 + height * stride, np.bool_)
    flat[1:].reshape(height, stride)[:, :width] = mask
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return changes[0::2], changes[1::2], stride


def _touching(starts: Positions, ends: Positions, stride: int, *, corners: bool) -> tuple[Positions, Positions]:
    """Pairs of runs, the second in the row below the first, that share a side (or a corner)."""
    first = np.searchsorted(ends, starts + stride, side="left" if corners else "right")
    last = np.searchsorted(starts, ends + stride, side="right" if corners else "left")
    many = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(starts.size), many)
    within = np.arange(upper.size) - np.repeat(np.cumsum(many) - many, many)
    return upper, np.repeat(first, many) + within


def _flatten(root: Positions) -> None:
    while True:
        above = root[root]
        if np.array_equal(above, root):
            return
        root[:] = above
