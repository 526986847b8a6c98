"""Compute probability maps from a canvas and its prompts, by classical methods.

The words of a prompt select a family of methods. The method finds a region or a texture in the image, and the
distance to the edge of the region becomes a soft probability. Nothing is learnt, nothing is random, and nothing
has a clinical meaning.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from simulator.families import Found
from simulator.vocabulary import rule_for

CANVAS = 1024
# The softness of the edge in canvas pixels, which is the scale of the logistic function of the distance to the edge.
SOFTNESS_PX = 3.0


@dataclass(frozen=True)
class Segment:
    """The result of one prompt: a map of 1024×1024 uint8, 0..255, and the category."""

    probability: npt.NDArray[np.uint8]
    category: str


def segment(canvas: Image.Image, prompts: list[str]) -> list[Segment]:
    """Return one map and one category for each prompt, in order.

    `canvas` is 1024×1024 RGB. The black margin that a letterbox leaves is cut off first. It is not a part of any
    statistic, and stays exactly 0. Every text gets a map; unknown words get a weak one that stays below 128.
    """
    box = canvas.getbbox()
    field = canvas.crop(box) if box else None
    return [_segment_one(field, box, prompt) for prompt in prompts]


def _segment_one(field: Image.Image | None, box: tuple[int, int, int, int] | None, prompt: str) -> Segment:
    rule = rule_for(prompt)
    probability = np.zeros((CANVAS, CANVAS), np.uint8)
    if field is not None and box is not None:
        scale = rule.side / CANVAS
        size = max(round(field.width * scale), 1), max(round(field.height * scale), 1)
        picture = np.asarray(field.resize(size, Image.Resampling.BOX), np.float32) / np.float32(255)
        soft = _soft_edged(rule.find(picture, prompt), scale)
        grown = Image.fromarray(soft).resize(field.size, Image.Resampling.BILINEAR)
        probability[box[1] : box[3], box[0] : box[2]] = np.asarray(grown)
    return Segment(probability, rule.category)


def _soft_edged(found: Found, scale: float) -> npt.NDArray[np.uint8]:
    """Return 255 × confidence / (1 + exp(−distance / softness)), where the distance is positive inside the region."""
    inside, outside = ndimage.distance_transform_edt(found.region), ndimage.distance_transform_edt(~found.region)
    if not found.region.any():
        return np.zeros(found.region.shape, np.uint8)
    # Half a pixel is subtracted on either side, so that the border between inside and outside is at zero.
    distance = np.where(found.region, inside - 0.5, 0.5 - outside) / (SOFTNESS_PX * scale)
    soft = found.confidence / (1 + np.exp(-np.clip(distance, -30, 30)))
    probability: npt.NDArray[np.uint8] = np.rint(255 * soft).astype(np.uint8)
    return probability
