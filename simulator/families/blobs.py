"""Segment regions that stand out from their surroundings: growths, lesions, polyps, opacities."""

import numpy as np

from simulator.families import Found, Picture, Plane, Region
from simulator.families.regions import convex, filled, grey, largest, opened, otsu, piece_at, smooth


def bright_half(picture: Picture, _prompt: str) -> Found:
    """Whatever is brighter than the middle of the scale: shapes of known size in a phantom, exact to the pixel."""
    return Found(grey(picture) > 0.5)


def bright_spot(picture: Picture, _prompt: str) -> Found:
    """The brightest compact region: a growth, an oedema, an opacity in a gray image."""
    return Found(_standing_out(smooth(grey(picture), 2)))


def dark_spot(picture: Picture, _prompt: str) -> Found:
    """The darkest compact region within the lit part: a tumour in ultrasound, a fluid."""
    plane = smooth(grey(picture), 2)
    return Found(_standing_out(np.where(plane > 0.05, 1 - plane, 0).astype(np.float32)))


def skin_lesion(picture: Picture, _prompt: str) -> Found:
    """The region that differs most in colour from the skin, near the centre."""
    skin = np.median(picture.reshape(-1, 3), axis=0)
    strange = smooth(np.linalg.norm(picture - skin, axis=2).astype(np.float32), 3) * _middle(picture)
    return Found(filled(largest(opened(strange > otsu(strange), 3))))


def polyp(picture: Picture, _prompt: str) -> Found:
    """The reddest compact region of the lit mucosa, made convex."""
    light = picture.sum(axis=2)
    redness = smooth(np.where(light > 0.4, picture[..., 0] / np.maximum(light, 0.1), 0).astype(np.float32), 3)
    return Found(convex(_standing_out(redness)))


def _middle(picture: Picture) -> Plane:
    """1 in the centre, decreasing to the corners, where a dermatoscope's rim is dark."""
    height, width = picture.shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    weight: Plane = np.exp(-(x * x + y * y)).astype(np.float32)
    return weight


def _standing_out(plane: Plane) -> Region:
    """The component around the highest local contrast, above half of its height over the surroundings."""
    side = max(plane.shape)
    contrast = smooth(plane, side / 60) - smooth(plane, side / 10)
    y, x = np.unravel_index(np.argmax(contrast), contrast.shape)
    return filled(piece_at(contrast > contrast[y, x] / 2, int(y), int(x)))
