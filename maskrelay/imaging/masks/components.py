"""Connected components of a mask: their number, and the component of each pixel."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Runs:
    """The runs of a mask's rows (maximal stretches of true pixels) and the component of each."""

    #: Position of each run's first pixel, row * stride + column.
    starts: Positions
    #: Position after each run's last pixel.
    ends: Positions
    stride: int
    #: The component of each run: numbers that are equal within a component.
    pieces: Positions

    def piece_at(self, rows: Positions, columns: Positions) -> Positions:
        """Return the component of each of these pixels, all of which must be true."""
        return self.pieces[np.searchsorted(self.starts, rows * self.stride + columns, side="right") - 1]


def count_components(mask: npt.NDArray[np.bool_]) -> int:
    """Return the number of 8-connected components of a (height, width) mask."""
    pieces = runs_of(mask, corners=True).pieces
    return int(np.count_nonzero(pieces == np.arange(pieces.size)))


def runs_of(mask: npt.NDArray[np.bool_], *, corners: bool) -> Runs:
    """Return the runs of a (height, width) mask, joined into components that share sides, or `corners` too.

    The algorithm works on runs instead of pixels. Touching runs are joined by union-find on whole arrays: each round
    hooks the larger root of every open pair under the smaller, then flattens the trees. The number of a component is
    that of its first run.
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
    """The first position and the position after the last of each run, in a raster with one extra empty column."""
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
