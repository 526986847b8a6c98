"""Connected components of a mask: their number, and the component of each pixel."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Runs:
    """The runs of a mask, and the component of each.

    A run is a sequence of true pixels in a row. The pixels before and after it are false.
    """

    #: The position of the first pixel of each run. A position is row * stride + column.
    starts: Positions
    #: The position after the last pixel of each run.
    ends: Positions
    stride: int
    #: The component of each run. All runs of a component have the same number.
    pieces: Positions

    def piece_at(self, rows: Positions, columns: Positions) -> Positions:
        """Return the component of each of these pixels. All of them must be true in the mask."""
        return self.pieces[np.searchsorted(self.starts, rows * self.stride + columns, side="right") - 1]


def count_components(mask: npt.NDArray[np.bool_]) -> int:
    """Return the number of 8-connected components of a (height, width) mask."""
    pieces = runs_of(mask, corners=True).pieces
    return int(np.count_nonzero(pieces == np.arange(pieces.size)))


def runs_of(mask: npt.NDArray[np.bool_], *, corners: bool) -> Runs:
    """Return the runs of a (height, width) mask with their components.

    Pixels that share a side belong to the same component. If `corners` is true, pixels that share only a corner also
    belong to the same component.

    The algorithm joins touching runs by union-find on whole arrays. Each round takes all pairs of touching runs that
    have different roots. It attaches the larger root of each pair to the smaller root, and flattens the trees. The
    number of a component is the number of its first run.
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
    """Return the start and the end of each run, and the stride.

    Positions are those in a raster that has one additional empty column, so no run continues in the next row.
    """
    height, width = mask.shape
    stride = width + 1
    flat = np.zeros(1 + height * stride, np.bool_)
    flat[1:].reshape(height, stride)[:, :width] = mask
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return changes[0::2], changes[1::2], stride


def _touching(starts: Positions, ends: Positions, stride: int, *, corners: bool) -> tuple[Positions, Positions]:
    """Return all pairs of touching runs. The second run of a pair is in the row below that of the first."""
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
