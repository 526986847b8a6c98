"""From a source file to the row that is sent, and from the answer to the outcome's masks and artifacts. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskrelay.contract.categories import at_odds
from maskrelay.contract.outcomes import Measures, Rle, SelfCheck
from maskrelay.contract.outputs import Output
from maskrelay.contract.sources import Reading
from maskrelay.contract.wire import Row, RowAnswer
from maskrelay.imaging.artifacts import mask_png, overlay_png, probability_png
from maskrelay.imaging.canvas import canvas_png
from maskrelay.imaging.decode import Picture
from maskrelay.imaging.letterbox import Letterbox, from_canvas, part_from_canvas, to_canvas
from maskrelay.imaging.maps import Encoding, probabilities
from maskrelay.imaging.masks import Mask, Probability, foreground_rows
from maskrelay.imaging.measures import measure
from maskrelay.imaging.overlaps import labels_of, overlaps_of
from maskrelay.imaging.reading import read_picture
from maskrelay.imaging.rle import encode_rle
from maskrelay.imaging.selfcheck import self_check
from maskrelay.imaging.spacing import Spacing
from maskrelay.imaging.whole.contact_sheet import thumbnail

OVERLAPS, CATEGORY_AT_ODDS, GEOMETRY_CHECK, TOO_THIN = "overlaps", "category_at_odds", "geometry_check", "too_thin"
#: A picture that covers fewer pixels of the canvas across shows the model next to nothing, so that empty says nothing.
_THIN = 4
#: A still image.
PLAIN = Reading()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A decoded source with the row made of it and the record that undoes the canvas; spacing: millimetres."""

    picture: Picture
    box: Letterbox
    row: Row
    spacing: Spacing | None = None


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """One prompt's mask in the source's geometry: measures, run lengths and the PNGs that were asked for.

    label_rle: without what another prompt's mask has with more probability; None where that is nothing, or no label
    volume is made.
    """

    measures: Measures
    category: str | None
    rle: Rle
    label_rle: Rle | None
    self_check: SelfCheck
    mask: bytes | None
    probability: bytes | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn of a frame; the pictures are None where nobody asked for them."""

    masks: tuple[DrawnMask, ...]
    overlay: bytes | None
    thumbnail: bytes | None


@dataclass(frozen=True, slots=True)
class _Back:
    """A map brought back: its mask, the rows of the canvas that hold its foreground, and where wanted the whole map."""

    mask: Mask
    rows: slice
    probability: Probability | None


def prepare(
    source: bytes | Path,
    prompts: tuple[str, ...],
    *,
    max_pixels: int,
    reading: Reading = PLAIN,
    square_pixels: bool = False,
    gray: bool = False,
    lap: Callable[[str], object] = lambda _stage: None,
) -> Prepared:
    """Read, letterbox and encode one frame; raises ItemError. `gray`: a gray picture is sent as grayscale. `lap` is
    called at the end of each stage.
    """
    picture = read_picture(source, reading, max_pixels=max_pixels)
    lap("decode")
    height, width = picture.pixels.shape[:2]
    box = Letterbox.of(width, height, spacing=reading.spacing if square_pixels else None)
    row = Row(canvas_png(to_canvas(picture.pixels, box), gray=gray), prompts)
    lap("prepare")
    return Prepared(picture, box, row, reading.spacing)


def draw(prepared: Prepared, answer: RowAnswer, encoding: Encoding, outputs: Sequence[Output]) -> Drawn:
    """The masks of every prompt in source geometry, and the frame's pictures; raises AnswerInvalid."""
    maps, flags = probabilities(answer.maps, encoding)
    backs = [_back(one, prepared.box, whole="probability" in outputs) for one in maps]
    masks = [back.mask for back in backs]
    overlaps = overlaps_of(masks)
    for number in {number for overlap in overlaps for number in overlap.numbers}:
        flags[number].append(OVERLAPS)
    labels = labels_of(masks, overlaps if "nifti" in outputs else ())
    drawn = tuple(
        _drawn(prepared, number, one, backs[number], labels[number], flags[number], answer.categories[number], outputs)
        for number, one in enumerate(maps)
    )
    pixels = prepared.picture.pixels
    whole = [mask.whole() for mask in masks] if {"overlay", "contact-sheet"} & set(outputs) else []
    return Drawn(
        drawn,
        overlay_png(pixels, whole, prepared.row.prompts) if "overlay" in outputs else None,
        thumbnail(pixels, whole) if "contact-sheet" in outputs else None,
    )


def _drawn(
    prepared: Prepared,
    number: int,
    canvas: Probability,
    back: _Back,
    label: Mask | None,
    flags: Sequence[str],
    category: str | None,
    outputs: Sequence[Output],
) -> DrawnMask:
    mask = back.mask
    measures = measure(mask, flags, spacing=prepared.spacing)
    check = self_check(canvas, back.rows, measures, prepared.box)
    findings = {
        CATEGORY_AT_ODDS: at_odds(prepared.row.prompts[number], category),
        GEOMETRY_CHECK: check.ok is False,
        TOO_THIN: prepared.box.thinnest() < _THIN,
    }
    more = tuple(flag for flag, found in findings.items() if found)
    return DrawnMask(
        measures=measures.model_copy(update={"flags": (*measures.flags, *more)}) if more else measures,
        category=category,
        rle=encode_rle(mask),
        label_rle=encode_rle(label) if label is not None and not np.array_equal(label.inside, mask.inside) else None,
        self_check=check,
        mask=mask_png(mask) if "mask" in outputs else None,
        probability=probability_png(back.probability) if back.probability is not None else None,
    )


def _back(one: Probability, box: Letterbox, *, whole: bool) -> _Back:
    """A map's mask in source geometry, and the map itself if `whole`."""
    rows = foreground_rows(one)
    if not whole:
        columns, part = part_from_canvas(one, rows, box)
        mask = Mask.of(part, width=box.width, left=columns.start)
        if mask.inside.any():
            return _Back(mask, rows, None)
    probability = from_canvas(one, box)
    return _Back(Mask.of(probability), rows, probability if whole else None)
