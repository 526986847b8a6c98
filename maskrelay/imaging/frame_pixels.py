"""From a source file to the row that is sent, and from the answer to masks and artifacts. Pure functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from maskrelay.contract.records.outcomes import Measures, Rle, SelfCheck
from maskrelay.contract.records.source_frames import Reading
from maskrelay.contract.vocabulary.categories import at_odds
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.contract.wire.image2d import Row, RowAnswer
from maskrelay.imaging.canvas.encode import canvas_png
from maskrelay.imaging.canvas.letterbox import (
    Letterbox,
    from_canvas,
    part_from_canvas,
    to_canvas,
)
from maskrelay.imaging.draw.frame_files import mask_png, overlay_png, probability_png
from maskrelay.imaging.item_files.contact_sheet import thumbnail
from maskrelay.imaging.masks.geometry_check import self_check
from maskrelay.imaging.masks.mask import (
    Mask,
    PackedMask,
    Probability,
    WholeMasks,
    foreground_rows,
)
from maskrelay.imaging.masks.measures import measure
from maskrelay.imaging.masks.overlaps import labels_of, meetings_of, overlaps_of
from maskrelay.imaging.masks.probability_maps import Encoding, probabilities
from maskrelay.imaging.masks.rle import encode_rle
from maskrelay.imaging.read.picture import Picture
from maskrelay.imaging.read.source import OpenedFrame, open_frame, picture_of
from maskrelay.imaging.spacing import Spacing

OVERLAPS, CATEGORY_AT_ODDS, GEOMETRY_CHECK, TOO_THIN = "overlaps", "category_at_odds", "geometry_check", "too_thin"
#: If an image covers fewer pixels of the canvas than this in one direction, the model sees almost nothing, and an empty
#: mask means nothing.
_THIN = 4
#: Masks of one frame above this many bytes are packed, eight pixels per byte.
_UNPACKED = 128 << 20
#: The memory that drawing needs regardless of the frame's size: probability maps as arrays, bands, the legend.
_WORKING = 48 << 20
#: A still image.
PLAIN = Reading()


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """A frame's row, the letterbox that reverses its canvas, and the image while it is kept."""

    picture: Picture | None
    box: Letterbox
    row: Row
    #: How its samples were converted.
    intensity: str
    #: Peak memory of decoding it again, in bytes.
    footprint: int
    #: Millimetres between rows and between columns.
    spacing: Spacing | None = None


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """One prompt's mask in the source's geometry: measures, run lengths and the requested PNGs."""

    measures: Measures
    category: str | None
    rle: Rle
    #: The mask without pixels where another prompt's mask has a higher probability. None if there are none, or if no
    #: label volume is requested.
    label_rle: Rle | None
    self_check: SelfCheck
    mask: bytes | None
    probability: bytes | None


@dataclass(frozen=True, slots=True)
class DrawnFrame:
    """The masks and images of a frame. Images that were not requested are None."""

    masks: tuple[DrawnMask, ...]
    overlay: bytes | None
    thumbnail: bytes | None


@dataclass(frozen=True, slots=True)
class _Back:
    """A probability map mapped back to the source."""

    mask: Mask
    #: The rows of the canvas that hold its foreground.
    rows: slice
    #: Its PNG, if requested.
    probability: bytes | None


def prepare(
    source: bytes | Path,
    prompts: tuple[str, ...],
    *,
    max_pixels: int,
    reading: Reading = PLAIN,
    square_pixels: bool = False,
    gray: bool = False,
    lap: Callable[[str], object] = lambda _stage: None,
) -> PreparedFrame:
    """Read, letterbox and encode one frame; raises ItemError.

    gray: send a gray image as grayscale. lap: called at the end of each stage.
    """
    opened = open_frame(source, reading, max_pixels=max_pixels)
    return prepare_opened(opened, prompts, reading=reading, square_pixels=square_pixels, gray=gray, lap=lap)


def prepare_opened(
    opened: OpenedFrame,
    prompts: tuple[str, ...],
    *,
    reading: Reading = PLAIN,
    square_pixels: bool = False,
    gray: bool = False,
    lap: Callable[[str], object] = lambda _stage: None,
) -> PreparedFrame:
    """As `prepare`, for a frame whose header has been read."""
    picture = picture_of(opened, reading)
    lap("decode")
    height, width = picture.pixels.shape[:2]
    box = Letterbox.of(width, height, spacing=reading.spacing if square_pixels else None)
    row = Row(canvas_png(to_canvas(picture.pixels, box), gray=gray), prompts)
    lap("prepare")
    return PreparedFrame(picture, box, row, picture.intensity, opened.footprint, reading.spacing)


def needs_pixels(outputs: Sequence[Output]) -> bool:
    """Return whether any of these outputs draws into the image itself."""
    return not {"overlay", "contact-sheet"}.isdisjoint(outputs)


def draw_footprint(box: Letterbox, prompts: int, outputs: Sequence[Output]) -> int:
    """Return the peak memory of `draw` in bytes, without the answer, whatever the size of the masks."""
    pixels = box.width * box.height
    held = 3.0 * prompts if "nifti" in outputs else min(2 * prompts, prompts / 8 + _UNPACKED / pixels)
    files = prompts if "probability" in outputs else 0
    working = 14 if needs_pixels(outputs) else 8
    return _WORKING + int(pixels * (held + files + working))


def draw(prepared: PreparedFrame, answer: RowAnswer, encoding: Encoding, outputs: Sequence[Output]) -> DrawnFrame:
    """Return the masks of every prompt in source geometry, and the frame's images; raises AnswerInvalid."""
    maps, flags = probabilities(answer.maps, encoding)
    pixels = prepared.box.width * prepared.box.height
    packed = 2 * pixels * len(maps) > _UNPACKED and "nifti" not in outputs
    masks: list[Mask | PackedMask] = []
    drawn: list[DrawnMask] = []
    for number, one in enumerate(maps):
        back = _back(one, prepared.box, whole="probability" in outputs)
        drawn.append(_drawn(prepared, number, one, back, flags[number], answer.categories[number], outputs))
        masks.append(PackedMask.of(back.mask) if packed else back.mask)
    drawn = _overlapping(drawn, masks, flags, labelled="nifti" in outputs)
    picture = prepared.picture.pixels if prepared.picture is not None and needs_pixels(outputs) else None
    whole = WholeMasks(masks)
    return DrawnFrame(
        tuple(drawn),
        overlay_png(picture, whole, prepared.row.prompts) if picture is not None and "overlay" in outputs else None,
        thumbnail(picture, whole) if picture is not None and "contact-sheet" in outputs else None,
    )


def _overlapping(
    drawn: list[DrawnMask], masks: Sequence[Mask | PackedMask], flags: Sequence[Sequence[str]], *, labelled: bool
) -> list[DrawnMask]:
    """Return the masks with what requires all of them: which ones overlap, and what is left of each as a label."""
    together = [mask for mask in masks if isinstance(mask, Mask)]
    overlaps = overlaps_of(together)
    pairs = {overlap.numbers for overlap in overlaps} | meetings_of(
        [mask for mask in masks if isinstance(mask, PackedMask)]
    )
    flagged = {number for pair in pairs for number in pair}
    labels = labels_of(together, overlaps) if labelled else [None] * len(masks)
    return [
        replace(
            one,
            measures=_flagged(one.measures, OVERLAPS, after=flags[number]) if number in flagged else one.measures,
            label_rle=_label(labels[number], masks[number]),
        )
        for number, one in enumerate(drawn)
    ]


def _label(label: Mask | None, mask: Mask | PackedMask) -> Rle | None:
    if label is None or not isinstance(mask, Mask) or np.array_equal(label.inside, mask.inside):
        return None
    return encode_rle(label)


def _flagged(measures: Measures, flag: str, *, after: Sequence[str]) -> Measures:
    """Add a flag after the flags of the mask and of its map, and before the findings."""
    findings = [
        one for one in measures.flags if one in (CATEGORY_AT_ODDS, GEOMETRY_CHECK, TOO_THIN) and one not in after
    ]
    others = measures.flags[: len(measures.flags) - len(findings)]
    return measures.model_copy(update={"flags": (*others, flag, *findings)})


def _drawn(
    prepared: PreparedFrame,
    number: int,
    canvas: Probability,
    back: _Back,
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
        label_rle=None,
        self_check=check,
        mask=mask_png(mask) if "mask" in outputs else None,
        probability=back.probability,
    )


def _back(one: Probability, box: Letterbox, *, whole: bool) -> _Back:
    """Return a map's mask in source geometry, and with `whole` also the map as a PNG."""
    rows = foreground_rows(one)
    if not whole:
        columns, part = part_from_canvas(one, rows, box)
        mask = Mask.of(part, width=box.width, left=columns.start)
        if mask.inside.any():
            return _Back(mask, rows, None)
    probability = from_canvas(one, box)
    return _Back(Mask.of(probability), rows, probability_png(probability) if whole else None)
