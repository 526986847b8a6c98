"""The outcome of one frame. It is stored as one JSON line of an outcome part, and is never changed."""

import math
from typing import Any, Literal

from pydantic import Field

from maskrelay.contract.record import Amount, Failure, Number, Record


class ArtifactRef(Record):
    """The location of an artifact: the `length` bytes that begin at `offset` in the object `key`."""

    key: str
    offset: Amount = 0
    length: Amount
    sha256: str
    content_type: str = "image/png"


class Rle(Record):
    """A mask as run lengths in the format of COCO, in column-major order."""

    #: (height, width) in pixels.
    size: tuple[int, int]
    #: The run lengths in COCO's compressed text format.
    counts: str


class Measures(Record):
    """The measures of one mask, in source pixels. x grows to the right and y grows downwards."""

    empty: bool
    area_px: int
    #: The area in square millimetres. None if the source does not state its pixel spacing.
    area_mm2: float | None = None
    #: The bounding box (x, y, width, height), or None if the mask is empty.
    bbox: tuple[int, int, int, int] | None = None
    #: The mean (x, y) of the mask's pixels, or None if the mask is empty. (0, 0) is the centre of the top left pixel.
    centroid: tuple[float, float] | None = None
    #: The number of connected components.
    components: int
    #: The mean of the probabilities of the mask's pixels, or of all pixels of the frame if the mask is empty. It is
    #: between 0 and 1.
    mean_probability: float
    #: The sides of the frame that the mask touches.
    border: tuple[Literal["left", "top", "right", "bottom"], ...] = ()
    flags: tuple[str, ...] = ()


class SelfCheck(Record):
    """The comparison of a mask's position in the source with its position on the canvas.

    `shift_px` is the distance between the two centroids in source pixels. It is None if the mask is empty on the canvas
    or in the source. `padding_px` is the number of foreground pixels in the padding of the canvas. `ok` is true if the
    shift is so small that rounding to whole pixels can explain it, or if the bounding boxes agree. `ok` is None if the
    mask is empty or very thin.
    """

    shift_px: float | None = None
    padding_px: int
    ok: bool | None = None


class MaskOutcome(Measures):
    """The mask of one prompt: its measures, its run lengths and its artifacts."""

    prompt: str
    #: The category that the endpoint returned for the prompt.
    category: str | None = None
    rle: Rle
    #: The mask without the pixels at which another prompt of the same frame has a higher probability. None if it is
    #: equal to `rle`, or if no label volume is made.
    label_rle: Rle | None = None
    self_check: SelfCheck | None = None
    mask: ArtifactRef | None = None
    probability: ArtifactRef | None = None


class ScoreRef(Record):
    """The kept answer of one score of a frame (see `contract/wire/kept_answer`)."""

    #: The digest of the score in hexadecimal digits: of the tenant, the model version, the prompts and the canvas.
    digest: str
    answer: ArtifactRef


class ReusedScore(Record):
    """An earlier score whose answer was used, so that nothing was sent."""

    #: The job and the frame that were scored. They may be this job and a frame with the same canvas.
    job: str
    frame: Number
    #: The indexes of the prompts of this frame to which the answer belongs.
    prompts: tuple[int, ...]


class Outcome(Record):
    """The stored record of one frame: its masks, or a coded error."""

    frame: Number
    item: Number
    #: The frame's number within its item, counted from 0.
    index: Number = 0
    state: Literal["succeeded", "failed", "cancelled"]
    error: Failure | None = None
    masks: tuple[MaskOutcome, ...] = ()
    overlay: ArtifactRef | None = None
    #: The image of the frame as it was windowed for the model, for viewers.
    preview: ArtifactRef | None = None
    #: The small image of the frame for the contact sheet.
    thumbnail: ArtifactRef | None = None
    #: The name that results use for the DICOM object of the frame.
    instance: str | None = None
    #: The name of the frame's file, if the item was made from several files.
    source_name: str | None = None
    #: The scale and the padding of the canvas, by which positions on the canvas are mapped back to the source.
    geometry: dict[str, Any] | None = None
    #: The name of the intensity window that was applied.
    intensity: str | None = None
    endpoint: str | None = None
    model_version: str | None = None
    #: The wire format of the request that scored the frame: `image2d`, or `lean2d`.
    wire: str | None = None
    attempts: int = 1
    #: The kept answers of the scores that were sent for this frame.
    scores: tuple[ScoreRef, ...] = ()
    #: The earlier scores that were used. It is empty if every score of the frame was sent.
    reused_from: tuple[ReusedScore, ...] = ()
    #: The digest of everything that determines the outcome, if later jobs may copy it.
    reuse_key: str | None = None
    #: The time that each stage of the frame took, in milliseconds.
    timings_ms: dict[str, float] = Field(default_factory=dict)

    def artifacts(self) -> dict[str, ArtifactRef]:
        """Return the frame's artifacts by name.

        Examples of names are `{item}-{frame}-{prompt}.mask.png`, where `{prompt}` is the index of the prompt, and
        `{item}-{frame}.overlay.png`. Thumbnails are not included.
        """
        named: dict[str, ArtifactRef] = {}
        for number, mask in enumerate(self.masks):
            if mask.mask:
                named[f"{self.item}-{self.frame}-{number}.mask.png"] = mask.mask
            if mask.probability:
                named[f"{self.item}-{self.frame}-{number}.probability.png"] = mask.probability
        if self.overlay:
            named[f"{self.item}-{self.frame}.overlay.png"] = self.overlay
        if self.preview:
            named[f"{self.item}-{self.frame}.preview.webp"] = self.preview
        return named


#: The upper bound of frame and item numbers and of lengths in pixels.
_BOUND = 1 << 31


def read_outcome(line: bytes) -> Outcome | None:
    """Parse one line of a part. Return None if this version of the software cannot use the line."""
    try:
        outcome = Outcome.model_validate_json(line)
    except ValueError:
        return None
    numbers = outcome.frame, outcome.item, outcome.index
    measured = outcome.timings_ms.values()
    usable = all(0 <= number < _BOUND for number in numbers) and all(map(math.isfinite, measured))
    return outcome if usable and all(map(_is_consistent, outcome.masks)) else None


def _is_consistent(mask: MaskOutcome) -> bool:
    """Return whether the measures are usable.

    All numbers must be finite, and the mask must not have more pixels than the frame. The check of the bounding box is
    only coarse: a box that extends beyond the frame may be accepted.
    """
    height, width = mask.rle.size
    if not (0 < height < _BOUND and 0 < width < _BOUND and 0 <= mask.area_px <= height * width):
        return False
    if not mask.empty and (mask.bbox is None or not mask.area_px or min(mask.bbox[2:]) <= 0):
        return False
    box = mask.bbox or ()
    numbers = (mask.mean_probability, mask.area_mm2 or 0.0, *(mask.centroid or ()))
    return all(abs(number) < _BOUND for number in box) and all(map(math.isfinite, numbers))
