"""Segment regions that differ from their surroundings: growths, lesions, polyps, opacities."""

import numpy as np

from simulator.families import Found, Picture, Plane, Region
from simulator.families.regions import convex, filled, grey, largest, opened, otsu, piece_at, smooth


def bright_half(picture: Picture, _prompt: str) -> Found:
    """Find all pixels in the brighter half of the scale.

    In the images of phantoms, these pixels are shapes of exactly known size.
    """
    return Found(grey(picture) > 0.5)


def bright_spot(picture: Picture, _prompt: str) -> Found:
    """Find the brightest compact region: a growth, an oedema, or an opacity in a gray image."""
    return Found(_standing_out(smooth(grey(picture), 2)))


def dark_spot(picture: Picture, _prompt: str) -> Found:
    """Find the darkest compact region within the lit part: a tumour in ultrasound, or fluid."""
    plane = smooth(grey(picture), 2)
    return Found(_standing_out(np.where(plane > 0.05, 1 - plane, 0).astype(np.float32)))


def skin_lesion(picture: Picture, _prompt: str) -> Found:
    """Find the region near the centre whose colour differs most from the skin."""
    skin = np.median(picture.reshape(-1, 3), axis=0)
    strange = smooth(np.linalg.norm(picture - skin, axis=2).astype(np.float32), 3) * _middle(picture)
    return Found(filled(largest(opened(strange > otsu(strange), 3))))


def polyp(picture: Picture, _prompt: str) -> Found:
    """Find the reddest compact region of the lit mucosa, made convex."""
    light = picture.sum(axis=2)
    redness = smooth(np.where(light > 0.4, picture[..., 0] / np.maximum(light, 0.1), 0).astype(np.float32), 3)
    return Found(convex(_standing_out(redness)))


def _middle(picture: Picture) -> Plane:
    """Return a weight that is 1 in the centre and decreases to the corners, where the rim of a dermatoscope is dark."""
    height, width = picture.shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    weight: Plane = np.exp(-(x * x + y * y)).astype(np.float32)
    return weight


def _standing_out(plane: Plane) -> Region:
    """Return the region around the pixel with the highest local contrast. Its contrast exceeds half of that value."""
    side = max(plane.shape)
    contrast = smooth(plane, side / 60) - smooth(plane, side / 10)
    y, x = np.unravel_index(np.argmax(contrast), contrast.shape)
    return filled(piece_at(contrast > contrast[y, x] / 2, int(y), int(x)))
