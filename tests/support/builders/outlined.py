"""Polygons filled again by a rasteriser that is not ours."""

from collections.abc import Sequence

import numpy as np
from skimage.draw import polygon

from maskrelay.imaging.item_files.outlines import Region


def filled(regions: Sequence[Region], shape: tuple[int, int]) -> np.ndarray:
    """The mask whose pixels' centres lie in the polygons; an error where two overlap."""
    counts = np.zeros(shape, np.int64)
    for region in regions:
        for rings in region.polygons:
            for number, ring in enumerate(rings):
                x, y = np.array(ring).T - 0.5  # a pixel's centre has whole coordinates then, and lies on no edge
                rows, columns = polygon(y, x, shape)
                counts[rows, columns] += -1 if number else 1
    assert ((counts == 0) | (counts == 1)).all()
    return counts == 1
