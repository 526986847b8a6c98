"""Segment stained tissue: nuclei by kind, cells and glands, after colour deconvolution.

The colours of the stains are those of Ruifrok & Johnston (2001) as scikit-image provides them:
haematoxylin, eosin, DAB.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.color import hed_from_rgb

from simulator.families import Found, Picture, Plane, Region
from simulator.families.regions import disk, filled, opened, otsu, smooth

ROUND_ENOUGH = 2.2  # longest axis divided by shortest axis; connective tissue has spindle-shaped nuclei


@dataclass(frozen=True)
class Tissue:
    nuclei: Region
    epithelium: Region


def neoplastic(picture: Picture, _prompt: str) -> Found:
    """Find the nuclei inside the dense epithelium."""
    tissue = _tissue(picture)
    return Found(tissue.nuclei & tissue.epithelium)


def inflammatory(picture: Picture, _prompt: str) -> Found:
    """Find compact nuclei in the loose tissue in between."""
    return Found(_loose(_tissue(picture), spindle=False))


def connective(picture: Picture, _prompt: str) -> Found:
    """Find spindle-shaped nuclei in the loose tissue in between."""
    return Found(_loose(_tissue(picture), spindle=True))


def epithelial(picture: Picture, _prompt: str) -> Found:
    """Find the nuclei of the epithelium with their surroundings."""
    tissue = _tissue(picture)
    return Found(ndimage.binary_dilation(tissue.nuclei & tissue.epithelium, disk(3)) & tissue.epithelium)


def glands(picture: Picture, _prompt: str) -> Found:
    """Find the dense epithelium with the cavities that it encloses."""
    return Found(filled(_tissue(picture).epithelium))


def nuclei(picture: Picture, _prompt: str) -> Found:
    """Find every nucleus."""
    return Found(_tissue(picture).nuclei)


def _tissue(picture: Picture) -> Tissue:
    density = -np.log(np.maximum(picture, 1 / 255))
    stains = density @ hed_from_rgb.astype(np.float32)
    blue, brown = stains[..., 0], stains[..., 1:].max(axis=2)
    dense = smooth(np.maximum(brown, 0), 6)
    epithelium = opened(dense > otsu(dense), 6)
    return Tissue(_nuclei(smooth(blue, 1)), epithelium)


def _nuclei(blue: Plane) -> Region:
    """Return where haematoxylin exceeds its neighbourhood and is above the median of the whole image."""
    local = blue - smooth(blue, 12)
    return filled(opened((local > max(otsu(local), 0)) & (blue > np.median(blue)), 2))


def _loose(tissue: Tissue, *, spindle: bool) -> Region:
    labels, count = ndimage.label(tissue.nuclei & ~tissue.epithelium)
    elongation = _elongation(labels, count)
    chosen = elongation > ROUND_ENOUGH if spindle else elongation <= ROUND_ENOUGH
    chosen[0] = False
    region: Region = chosen[labels]
    return region


def _elongation(labels: np.ndarray, count: int) -> Plane:
    """Return the ratio of the longest to the shortest axis of every label, from the second moments of its pixels."""
    flat = labels.ravel()
    y, x = (axis.ravel().astype(np.float64) for axis in np.indices(labels.shape))
    size = np.maximum(np.bincount(flat, minlength=count + 1), 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(flat, values, minlength=count + 1) / size

    my, mx = mean(y), mean(x)
    # 1/12 is the variance of a single pixel's square.
    yy, xx, xy = mean(y * y) - my * my + 1 / 12, mean(x * x) - mx * mx + 1 / 12, mean(x * y) - mx * my
    spread = np.hypot(yy - xx, 2 * xy)
    ratio: Plane = np.sqrt((yy + xx + spread) / np.maximum(yy + xx - spread, 1e-6)).astype(np.float32)
    return ratio
