"""The outcome of one frame: one JSON line in a part, written once and never changed."""

import math
from typing import Any, Literal

from maskrelay.contract.record import Amount, Failure, Number, Record


class ArtifactRef(Record):
    """The location of an artifact: `length` bytes at `offset` of the object `key`."""

    key: str
    offset: Amount = 0
    length: Amount
    sha256: str
    content_type: str = "image/png"


class Rle(Record):
    """A mask as COCO run lengths: column-major, `size` = (height, width), `counts` in COCO's text form."""

    size: tuple[int, int]
    counts: str


class Measures(Record):
    """The measures of one mask, in source pixels; x to the right, y down, from the top left corner."""

    empty: bool
    area_px: int
    #: None if the source gives no spacing.
    area_mm2: float | None = None
    #: (x, y, width, height), None when empty.
    bbox: tuple[int, int, int, int] | None = None
    #: (x, y) of pixel centres, None when empty.
    centroid: tuple[float, float] | None = None
    components: int
    #: 0..1, over the mask (over the frame when the mask is empty).
    mean_probability: float
    #: The sides that the mask touches.
    border: tuple[Literal["left", "top", "right", "bottom"], ...] = ()
    flags: tuple[str, ...] = ()


class SelfCheck(Record):
    """A check of the mask's position in the source against its position on the canvas.

    `shift_px` is the distance between the two centroids, in source pixels. `padding_px` is the foreground in the
    padding of the canvas, in canvas pixels. `ok` is true if the shift is no more than the two pixel grids explain.
    `shift_px` and `ok` are null if there is nothing to compare.
    """

    shift_px: float | None = None
    padding_px: int
    ok: bool | None = None


class MaskOutcome(Measures):
    """The mask of one prompt: its measures, its run lengths and its artifacts."""

    prompt: str
    category: str | None = None
    rle: Rle
    #: The mask without the pixels where another prompt's mask of the frame is more probable; None if equal to `rle`, or
    #: if no label volume is made.
    label_rle: Rle | None = None
    self_check: SelfCheck | None = None
    mask: ArtifactRef | None = None
    probability: ArtifactRef | None = None


class Outcome(Record):
    """The durable record of one frame: masks, or a coded error."""

    frame: Number
    item: Number
    #: The frame's place within its item.
    index: Number = 0
    state: Literal["succeeded", "failed", "cancelled"]
    error: Failure | None = None
    masks: tuple[MaskOutcome, ...] = ()
    overlay: ArtifactRef | None = None
    #: For the contact sheet.
    thumbnail: ArtifactRef | None = None
    #: The DICOM object it belongs to, as results name it.
    instance: str | None = None
    #: The file of a frame whose item was made of several files.
    source_name: str | None = None
    #: The letterbox, which maps the canvas back to the source.
    geometry: dict[str, Any] | None = None
    intensity: str | None = None
    endpoint: str | None = None
    model_version: str | None = None
    attempts: int = 1
    #: In milliseconds.
    timings_ms: dict[str, float] = {}

    def artifacts(self) -> dict[str, ArtifactRef]:
        """Return the frame's artifacts by name: `{item}-{frame}-{prompt}.mask.png`, `{item}-{frame}.overlay.png` …"""
        named: dict[str, ArtifactRef] = {}
        for number, mask in enumerate(self.masks):
            if mask.mask:
                named[f"{self.item}-{self.frame}-{number}.mask.png"] = mask.mask
            if mask.probability:
                named[f"{self.item}-{self.frame}-{number}.probability.png"] = mask.probability
        if self.overlay:
            named[f"{self.item}-{self.frame}.overlay.png"] = self.overlay
        return named


#: The upper bound of frame and item numbers and of lengths in pixels.
_BOUND = 1 << 31


def read_outcome(line: bytes) -> Outcome | None:
    """Parse one line of a part; None for a line that this release cannot use, of whatever origin."""
    try:
        outcome = Outcome.model_validate_json(line)
    except ValueError:
        return None
    numbers = outcome.frame, outcome.item, outcome.index
    measured = outcome.timings_ms.values()
    usable = all(0 <= number < _BOUND for number in numbers) and all(map(math.isfinite, measured))
    return outcome if usable and all(map(_is_consistent, outcome.masks)) else None


def _is_consistent(mask: MaskOutcome) -> bool:
    """Whether the measures are usable: finite, and within the size of the mask."""
    height, width = mask.rle.size
    if not (0 < height < _BOUND and 0 < width < _BOUND and 0 <= mask.area_px <= height * width):
        return False
    if not mask.empty and (mask.bbox is None or not mask.area_px or min(mask.bbox[2:]) <= 0):
        return False
    box = mask.bbox or ()
    numbers = (mask.mean_probability, mask.area_mm2 or 0.0, *(mask.centroid or ()))
    return all(abs(one) < _BOUND for one in box) and all(map(math.isfinite, numbers))
