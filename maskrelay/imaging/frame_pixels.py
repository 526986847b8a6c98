"""The processing of one frame: from its source file to the request row, and from the answer to its artifacts."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from maskrelay.contract.records.outcomes import Measures, Rle, SelfCheck
from maskrelay.contract.records.source_frames import Reading
from maskrelay.contract.vocabulary.categories import at_odds
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.contract.wire.image2d import Row, RowAnswer
from maskrelay.imaging.canvas.encode import RGB_PNG, CanvasCoding, encode_canvas
from maskrelay.imaging.canvas.letterbox import (
    Letterbox,
    Pixels,
    from_canvas,
    part_from_canvas,
    to_canvas,
)
from maskrelay.imaging.draw.frame_files import mask_png, overlay_png, preview_webp, probability_png
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
#: A frame is flagged if its image covers fewer than this number of canvas pixels in one direction. The model sees
#: almost nothing of so thin an image, so an empty mask does not show that the structure is absent.
_THIN = 4
#: If the masks of a frame need more bytes than this, they are packed with eight pixels per byte.
_UNPACKED = 128 << 20
#: The part of the memory for drawing, in bytes, that does not grow with the size of the frame. It is needed for the
#: maps of the canvas, for bands of rows, and for the legend.
_WORKING = 48 << 20
#: How a still image is read.
PLAIN = Reading()


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """A frame that is ready to be scored."""

    #: The image, or None if it was dropped to save memory.
    picture: Picture | None
    #: The letterbox that maps the canvas back to the source.
    box: Letterbox
    row: Row
    #: The name of the method that converted the samples to 8 bits.
    intensity: str
    #: The peak memory, in bytes, of decoding the frame again.
    footprint: int
    #: The distances between rows and between columns, in millimetres.
    spacing: Spacing | None = None
    #: The hash of the pixels of the canvas, as hexadecimal digits. None if it was not requested.
    canvas_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """The mask of one prompt in the geometry of the source: measures, run lengths and the requested PNG files."""

    measures: Measures
    category: str | None
    rle: Rle
    #: The mask without the pixels that belong to the mask of another prompt (see `labels_of`). None if there are no
    #: such pixels, or if no label volume is requested.
    label_rle: Rle | None
    self_check: SelfCheck
    #: The mask as a PNG file.
    mask: bytes | None
    #: The probability map as a PNG file.
    probability: bytes | None


@dataclass(frozen=True, slots=True)
class DrawnFrame:
    """The masks and images of a frame. Images that were not requested are None."""

    masks: tuple[DrawnMask, ...]
    overlay: bytes | None
    thumbnail: bytes | None
    preview: bytes | None


@dataclass(frozen=True, slots=True)
class _Back:
    """The mask that results when a probability map is mapped back to the source."""

    mask: Mask
    #: A range of canvas rows that contains the foreground.
    rows: slice
    #: The probability map as a PNG file, if it is requested.
    probability: bytes | None


def prepare(
    source: bytes | Path,
    prompts: tuple[str, ...],
    *,
    max_pixels: int,
    reading: Reading = PLAIN,
    square_pixels: bool = False,
    coding: CanvasCoding = RGB_PNG,
    lap: Callable[[str], object] = lambda _stage: None,
) -> PreparedFrame:
    """Read one frame, make its canvas, and encode the canvas for a request.

    `coding` is how the canvas is encoded. `lap` is called with the name of each stage when it ends. Raises ItemError if
    the frame cannot be read.
    """
    opened = open_frame(source, reading, max_pixels=max_pixels)
    return prepare_opened(opened, prompts, reading=reading, square_pixels=square_pixels, coding=coding, lap=lap)


def prepare_opened(
    opened: OpenedFrame,
    prompts: tuple[str, ...],
    *,
    reading: Reading = PLAIN,
    square_pixels: bool = False,
    coding: CanvasCoding = RGB_PNG,
    hashed: bool = False,
    lap: Callable[[str], object] = lambda _stage: None,
) -> PreparedFrame:
    """Do the same as `prepare` for a frame whose header has already been read. `hashed` adds the canvas's hash."""
    picture = picture_of(opened, reading)
    lap("decode")
    height, width = picture.pixels.shape[:2]
    sides = reading.spacing or reading.aspect
    box = Letterbox.of(width, height, spacing=sides if square_pixels else None)
    canvas = to_canvas(picture.pixels, box)
    row = Row(encode_canvas(canvas, coding), prompts)
    digest = _canvas_sha256(canvas) if hashed else None
    lap("prepare")
    return PreparedFrame(picture, box, row, picture.intensity, opened.footprint, reading.spacing, digest)


def _canvas_sha256(canvas: Pixels) -> str:
    """Return a hash of the canvas that does not depend on its encoding. Gray and colour canvases differ."""
    digest = hashlib.sha256(repr(canvas.shape).encode())
    digest.update(np.ascontiguousarray(canvas).data)
    return digest.hexdigest()


def needs_pixels(outputs: Sequence[Output]) -> bool:
    """Return whether the image itself is needed for any of these outputs."""
    return not {"overlay", "contact-sheet", "preview"}.isdisjoint(outputs)


def draw_footprint(box: Letterbox, prompts: int, outputs: Sequence[Output]) -> int:
    """Return an upper bound of the memory that `draw` needs in addition to the answer, in bytes.

    The bound is valid for masks of any size.
    """
    pixels = box.width * box.height
    held = 3.0 * prompts if "nifti" in outputs else min(2 * prompts, prompts / 8 + _UNPACKED / pixels)
    files = prompts if "probability" in outputs else 0
    working = 14 if needs_pixels(outputs) else 8
    return _WORKING + int(pixels * (held + files + working))


def draw(prepared: PreparedFrame, answer: RowAnswer, encoding: Encoding, outputs: Sequence[Output]) -> DrawnFrame:
    """Return the masks of all prompts in the geometry of the source, and the images of the frame.

    Raises AnswerInvalid if the answer contains values that are not possible with this encoding.
    """
    maps, flags = probabilities(answer.maps, encoding)
    pixels = prepared.box.width * prepared.box.height
    packed = 2 * pixels * len(maps) > _UNPACKED and "nifti" not in outputs
    masks: list[Mask | PackedMask] = []
    drawn: list[DrawnMask] = []
    for number, canvas in enumerate(maps):
        back = _back(canvas, prepared.box, whole="probability" in outputs)
        drawn.append(_drawn(prepared, number, canvas, back, flags[number], answer.categories[number], outputs))
        masks.append(PackedMask.of(back.mask) if packed else back.mask)
    drawn = _overlapping(drawn, masks, flags, labelled="nifti" in outputs)
    picture = prepared.picture.pixels if prepared.picture is not None and needs_pixels(outputs) else None
    whole = WholeMasks(masks)
    return DrawnFrame(
        tuple(drawn),
        overlay_png(picture, whole, prepared.row.prompts) if picture is not None and "overlay" in outputs else None,
        thumbnail(picture, whole) if picture is not None and "contact-sheet" in outputs else None,
        preview_webp(picture) if picture is not None and "preview" in outputs else None,
    )


def _overlapping(
    drawn: list[DrawnMask], masks: Sequence[Mask | PackedMask], flags: Sequence[Sequence[str]], *, labelled: bool
) -> list[DrawnMask]:
    """Return the masks with the flag for overlaps and with `label_rle`. Both depend on the masks of all prompts."""
    together = [mask for mask in masks if isinstance(mask, Mask)]
    overlaps = overlaps_of(together)
    pairs = {overlap.numbers for overlap in overlaps} | meetings_of(
        [mask for mask in masks if isinstance(mask, PackedMask)]
    )
    flagged = {number for pair in pairs for number in pair}
    labels = labels_of(together, overlaps) if labelled else [None] * len(masks)
    return [
        replace(
            mask,
            measures=_flagged(mask.measures, OVERLAPS, after=flags[number]) if number in flagged else mask.measures,
            label_rle=_label(labels[number], masks[number]),
        )
        for number, mask in enumerate(drawn)
    ]


def _label(label: Mask | None, mask: Mask | PackedMask) -> Rle | None:
    if label is None or not isinstance(mask, Mask) or np.array_equal(label.inside, mask.inside):
        return None
    return encode_rle(label)


def _flagged(measures: Measures, flag: str, *, after: Sequence[str]) -> Measures:
    """Return the measures with one more flag.

    The flag is inserted after the flags of the mask and of its map (`after`), and before the flags that `_drawn` added.
    """
    later = (CATEGORY_AT_ODDS, GEOMETRY_CHECK, TOO_THIN)
    findings = [known for known in measures.flags if known in later and known not in after]
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


def _back(canvas: Probability, box: Letterbox, *, whole: bool) -> _Back:
    """Return the mask of a map in the geometry of the source. If `whole` is true, include the map as a PNG file."""
    rows = foreground_rows(canvas)
    if not whole:
        columns, part = part_from_canvas(canvas, rows, box)
        mask = Mask.of(part, width=box.width, left=columns.start)
        if mask.inside.any():
            return _Back(mask, rows, None)
    probability = from_canvas(canvas, box)
    return _Back(Mask.of(probability), rows, probability_png(probability) if whole else None)
