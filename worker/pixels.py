"""From a source file to the row that is sent, and from the answer to the outcome's masks and artifacts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from maskrelay.contract.outputs import Output
from maskrelay.contract.outcomes import Measures, Rle
from maskrelay.contract.sources import Reading
from maskrelay.contract.wire import Row, RowAnswer
from maskrelay.imaging.artifacts import mask_png, overlay_png, probability_png
from maskrelay.imaging.canvas import canvas_png
from maskrelay.imaging.decode import Picture
from maskrelay.imaging.letterbox import Letterbox, from_canvas, to_canvas
from maskrelay.imaging.maps import Encoding, probabilities
from maskrelay.imaging.masks import FOREGROUND, threshold
from maskrelay.imaging.measures import measure
from maskrelay.imaging.reading import read_picture
from maskrelay.imaging.rle import encode_rle

Mask = npt.NDArray[np.bool_]
#: A still image.
PLAIN = Reading()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A decoded source with the row made of it and the record that undoes the canvas."""

    picture: Picture
    box: Letterbox
    row: Row


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """One prompt's mask in the source's geometry: measures, run lengths and the PNGs that were asked for."""

    measures: Measures
    category: str | None
    rle: Rle
    mask: bytes | None
    probability: bytes | None


def prepare(
    source: bytes | Path,
    prompts: tuple[str, ...],
    *,
    max_pixels: int,
    reading: Reading = PLAIN,
    square_pixels: bool = False,
    gray: bool = False,
) -> Prepared:
    """Read, letterbox and encode one frame; raises ItemError. `gray`: a gray picture is sent as grayscale."""
    picture = read_picture(source, reading, max_pixels=max_pixels)
    height, width = picture.pixels.shape[:2]
    box = Letterbox.of(width, height, spacing=reading.spacing if square_pixels else None)
    return Prepared(picture, box, Row(canvas_png(to_canvas(picture.pixels, box), gray=gray), prompts))


def draw(
    prepared: Prepared, answer: RowAnswer, encoding: Encoding, outputs: Sequence[Output]
) -> tuple[list[DrawnMask], bytes | None]:
    """The masks of every prompt in source geometry, and the overlay; raises AnswerInvalid."""
    maps, flags = probabilities(answer.maps, encoding)
    drawn: list[DrawnMask] = []
    masks: list[Mask] = []
    for one, map_flags, category in zip(maps, flags, answer.categories, strict=True):
        probability, mask = _back(one, prepared.box, whole="probability" in outputs)
        masks.append(mask)
        drawn.append(
            DrawnMask(
                measures=measure(mask, probability, map_flags),
                category=category,
                rle=encode_rle(mask),
                mask=mask_png(mask) if "mask" in outputs else None,
                probability=probability_png(probability) if "probability" in outputs else None,
            )
        )
    if "overlay" not in outputs:
        return drawn, None
    return drawn, overlay_png(prepared.picture.pixels, masks, prepared.row.prompts)


def _back(one: npt.NDArray[np.uint8], box: Letterbox, *, whole: bool) -> tuple[npt.NDArray[np.uint8], Mask]:
    """A map and its mask in source geometry; the map is exact within the mask, and everywhere if `whole` or no mask."""
    if not whole:
        probability = from_canvas(one, box, least=FOREGROUND)
        mask = threshold(probability)
        if mask.any():
            return probability, mask
    probability = from_canvas(one, box)
    return probability, threshold(probability)
