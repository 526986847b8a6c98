"""Segment gray images of the body (X-ray, CT, MR, ultrasound): lungs, and organs by position and brightness."""

import re
from dataclasses import dataclass

import numpy as np

from simulator.families import Found, Picture, Plane, Region
from simulator.families.regions import filled, grey, largest, opened, otsu, smooth


@dataclass(frozen=True)
class Place:
    """Where an organ is searched.

    `x` and `y` are shares of the displayed image (the patient's right is on the left), `reach` is the radius of the
    search, and `level` is the organ's brightness as a quantile of the body's brightness.
    """

    x: float
    y: float
    reach: float
    level: float


def lungs(picture: Picture, prompt: str) -> Found:
    """Find the two largest dark regions that the body encloses, or one of them if the prompt names a side."""
    plane = smooth(grey(picture), 2)
    body = _body(plane)
    dark = opened(body & (plane < otsu(plane[body])), 2) if body.any() else body
    middle = dark.shape[1] // 2
    if re.search(r"\bleft\b", prompt):
        dark[:, :middle] = False
    elif re.search(r"\bright\b", prompt):
        dark[:, middle:] = False
    return Found(filled(largest(dark, 2)))


def bright_parts(picture: Picture, _prompt: str) -> Found:
    """Find the brightest parts of the body: bone and contrast medium."""
    plane = smooth(grey(picture), 1)
    body = plane > otsu(plane)
    return Found(opened(plane > otsu(plane[body]), 1) if body.any() else body)


def organ(picture: Picture, place: Place) -> Found:
    """Find the largest connected region that matches the brightness and the position of an organ.

    The match of a pixel is the product of two Gaussian functions, one of its distance to the position and one of its
    difference in brightness. The region consists of the pixels whose match exceeds half of the greatest match.
    """
    plane = smooth(grey(picture), 2)
    body = _body(plane)
    if not body.any():
        return Found(body)
    values = plane[body]
    width = max(float(values.std()) / 2, 0.02)
    likely = np.exp(-(((plane - np.quantile(values, place.level)) / width) ** 2) / 2) * _near(plane, place) * body
    return Found(filled(largest(opened(likely > likely.max() / 2, 1))))


def _near(plane: Plane, place: Place) -> Plane:
    height, width = plane.shape
    y, x = np.ogrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    distance = ((x - place.x) ** 2 + (y - place.y) ** 2) / place.reach**2
    nearness: Plane = np.exp(-distance / 2).astype(np.float32)
    return nearness


def _body(plane: Plane) -> Region:
    """Return the largest lit component with the cavities that it encloses."""
    return filled(largest(plane > otsu(plane) / 2))
