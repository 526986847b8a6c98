"""From a source file to the row that is sent, and from the answer to masks and artifacts. Pure functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from maskrelay.imaging.masks import Mask, PackedMask, Probability, WholeMasks, foreground_rows
from maskrelay.imaging.measures import measure
from maskrelay.imaging.overlaps import labels_of, meetings_of, overlaps_of
from maskrelay.imaging.reading import OpenedFrame, open_frame, picture_of
from maskrelay.imaging.rle import encode_rle
from maskrelay.imaging.selfcheck import self_check
from maskrelay.imaging.spacing import Spacing
from maskrelay.imaging.whole.contact_sheet import thumbnail

OVERLAPS, CATEGORY_AT_ODDS, GEOMETRY_CHECK, TOO_THIN = "overlaps", "category_at_odds", "geometry_check", "too_thin"
#: A picture that covers fewer pixels of the canvas across shows the model next to nothing, so that empty says nothing.
_THIN = 4
#: Bytes of the masks of one frame that are kept as they are; above it they are packed, eight pixels a byte.
_UNPACKED = 128 << 20
#: What drawing takes whatever the frame's size: probability maps as arrays, bands, the legend.
_WORKING = 48 << 20
#: A still image.
PLAIN = Reading()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame's row with the record that undoes its canvas, and its picture as long as that is kept.

    intensity: what was done to its samples. footprint: bytes that decoding it again takes at its peak. spacing:
    millimetres between rows and between columns.
    """

    picture: Picture | None
    box: Letterbox
    row: Row
    intensity: str
    footprint: int
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
    """A map brought back: its mask, the rows of the canvas that hold its foreground, and where wanted its PNG."""

    mask: Mask
    rows: slice
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
) -> Prepared:
    """Read, letterbox and encode one frame; raises ItemError. `gray`: a gray picture is sent as grayscale. `lap` is
    called at the end of each stage.
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
) -> Prepared:
    """As `prepare`, of a frame whose header was read."""
    picture = picture_of(opened, reading)
    lap("decode")
    height, width = picture.pixels.shape[:2]
    box = Letterbox.of(width, height, spacing=reading.spacing if square_pixels else None)
    row = Row(canvas_png(to_canvas(picture.pixels, box), gray=gray), prompts)
    lap("prepare")
    return Prepared(picture, box, row, picture.intensity, opened.footprint, reading.spacing)


def needs_pixels(outputs: Sequence[Output]) -> bool:
    """Whether the picture itself is drawn into any of these."""
    return not {"overlay", "contact-sheet"}.isdisjoint(outputs)


def draw_footprint(box: Letterbox, prompts: int, outputs: Sequence[Output]) -> int:
    """Bytes that `draw` takes at its peak besides the answer, however much of the frame the masks cover."""
    pixels = box.width * box.height
    held = 3.0 * prompts if "nifti" in outputs else min(2 * prompts, prompts / 8 + _UNPACKED / pixels)
    files = prompts if "probability" in outputs else 0
    working = 14 if needs_pixels(outputs) else 8
    return _WORKING + int(pixels * (held + files + working))


def draw(prepared: Prepared, answer: RowAnswer, encoding: Encoding, outputs: Sequence[Output]) -> Drawn:
    """The masks of every prompt in source geometry, and the frame's pictures; raises AnswerInvalid."""
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
    return Drawn(
        tuple(drawn),
        overlay_png(picture, whole, prepared.row.prompts) if picture is not None and "overlay" in outputs else None,
        thumbnail(picture, whole) if picture is not None and "contact-sheet" in outputs else None,
    )


def _overlapping(
    drawn: list[DrawnMask], masks: Sequence[Mask | PackedMask], flags: Sequence[Sequence[str]], *, labelled: bool
) -> list[DrawnMask]:
    """The masks with what is known once all of them are: which ones overlap, and what is left of each as a label."""
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
    """With one flag more, behind those of the mask and of its map, and before the findings."""
    findings = [
        one for one in measures.flags if one in (CATEGORY_AT_ODDS, GEOMETRY_CHECK, TOO_THIN) and one not in after
    ]
    others = measures.flags[: len(measures.flags) - len(findings)]
    return measures.model_copy(update={"flags": (*others, flag, *findings)})


def _drawn(
    prepared: Prepared,
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
    """A map's mask in source geometry, and the map itself as a PNG if `whole`."""
    rows = foreground_rows(one)
    if not whole:
        columns, part = part_from_canvas(one, rows, box)
        mask = Mask.of(part, width=box.width, left=columns.start)
        if mask.inside.any():
            return _Back(mask, rows, None)
    probability = from_canvas(one, box)
    return _Back(Mask.of(probability), rows, probability_png(probability) if whole else None)
