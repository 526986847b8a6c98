"""Operations on planes and regions that several families share."""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import convex_hull_image

from simulator.families import Picture, Plane, Region


def grey(picture: Picture) -> Plane:
    """Return the luma of ITU-R BT.601."""
    plane: Plane = picture @ np.array([0.299, 0.587, 0.114], np.float32)
    return plane


def smooth(plane: Plane, sigma_px: float) -> Plane:
    smoothed: Plane = ndimage.gaussian_filter(plane, sigma_px, truncate=3)
    return smoothed


def otsu(values: Plane) -> float:
    """Return Otsu's threshold. If all values are equal, return this value, so that no value exceeds the threshold."""
    if values.size == 0 or np.ptp(values) == 0:
        return float(values.max(initial=0))
    return float(threshold_otsu(values))  # type: ignore[no-untyped-call]


def disk(radius_px: int) -> Region:
    y, x = np.ogrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    within: Region = x * x + y * y <= radius_px * radius_px
    return within


def filled(region: Region) -> Region:
    whole: Region = ndimage.binary_fill_holes(region)
    return whole


def opened(region: Region, radius_px: int) -> Region:
    rid: Region = ndimage.binary_opening(region, disk(radius_px))
    return rid


def largest(region: Region, count: int = 1) -> Region:
    """Return the `count` largest connected components."""
    labels, found = ndimage.label(region)
    if found == 0:
        return region
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept: Region = np.isin(labels, np.argsort(sizes)[::-1][: min(count, found)])
    return kept


def piece_at(region: Region, y: int, x: int) -> Region:
    """Return the connected component that contains the point, or an empty region if the point is outside."""
    labels, _ = ndimage.label(region)
    piece: Region = (labels == labels[y, x]) & region
    return piece if region[y, x] else np.zeros_like(region)


def convex(region: Region) -> Region:
    if not region.any():
        return region
    hull: Region = convex_hull_image(region)  # type: ignore[no-untyped-call]
    return hull
