"""Segment photographs of the retina: the optic disc, its cup, and the vessels."""

import numpy as np
from scipy import ndimage

from simulator.families import Found, Picture, Plane, Region
from simulator.families.regions import convex, disk, filled, opened, otsu, piece_at, smooth


def optic_disc(picture: Picture, _prompt: str) -> Found:
    """Find the brightest compact region after a closing has removed the vessels. Return its convex hull."""
    region, _ = _disc(picture)
    return Found(region)


def optic_cup(picture: Picture, _prompt: str) -> Found:
    """Find the brighter part inside the disc. Return its convex hull."""
    disc, bright = _disc(picture)
    inner = ndimage.binary_erosion(disc, disk(2))
    if not inner.any():
        return Found(disc)
    pale = inner & (bright > otsu(bright[inner]))
    y, x = np.unravel_index(np.argmax(np.where(inner, smooth(bright, 2), -1)), bright.shape)
    return Found(convex(opened(piece_at(pale, int(y), int(x)), 1)))


def vessels(picture: Picture, _prompt: str) -> Found:
    """Find the thin dark lines of the green channel. A closing fills them by more than Otsu's threshold."""
    green = smooth(picture[..., 1], 1)
    eye = ndimage.binary_erosion(_eye(picture), disk(6))
    depth = np.where(eye, ndimage.grey_closing(green, size=(13, 13)) - green, 0).astype(np.float32)
    return Found(opened(depth > otsu(depth[eye]), 1) if eye.any() else eye)


def _eye(picture: Picture) -> Region:
    lit: Region = picture.max(axis=2) > 0.15
    return lit


def _disc(picture: Picture) -> tuple[Region, Plane]:
    """Return the region of the disc, and the brightness after a closing has removed the vessels."""
    eye = _eye(picture)
    bright = smooth(ndimage.grey_closing(picture[..., :2].mean(axis=2), footprint=disk(4)), 1)
    side = max(picture.shape[:2])
    weight = np.maximum(smooth(eye.astype(np.float32), side / 8), 1e-3)
    surplus = np.where(eye, bright - smooth(bright * eye, side / 8) / weight, -1).astype(np.float32)
    y, x = np.unravel_index(np.argmax(smooth(surplus, side / 40)), surplus.shape)
    reach = side // 9
    near = np.zeros_like(eye)
    near[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach] = True
    near &= eye
    region = piece_at(opened(near & (bright > otsu(bright[near])), 2), int(y), int(x))
    return convex(filled(region)), bright
