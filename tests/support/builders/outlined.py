"""Fill polygons with a rasteriser of another library."""

from collections.abc import Sequence

import numpy as np
from skimage.draw import polygon

from maskrelay.imaging.item_files.outlines import Region


def filled(regions: Sequence[Region], shape: tuple[int, int]) -> np.ndarray:
    """Return the mask of the pixels whose centres are in the polygons. Fails if two polygons overlap."""
    counts = np.zeros(shape, np.int64)
    for region in regions:
        for rings in region.polygons:
            for number, ring in enumerate(rings):
                x, y = np.array(ring).T - 0.5  # then a pixel's centre has whole coordinates, and is on no edge
                rows, columns = polygon(y, x, shape)
                counts[rows, columns] += -1 if number else 1
    assert ((counts == 0) | (counts == 1)).all()
    return counts == 1
