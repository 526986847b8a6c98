"""Source ↔ canvas: pad with black to a square, resize to the canvas; and the record that undoes it exactly."""

from dataclasses import asdict, dataclass
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrelay.contract.wire import CANVAS

T = TypeVar("T", bound=np.generic)

# The way to the canvas costs time with the square of the longer side; JPEG ends at 65,535, WebP at 16,383.
LONGEST_SIDE = 32_767

_PIXELS_AT_ONCE = 1 << 24  # of the padded square, so that a picture of 1 × 32,767 needs no gigabyte


@dataclass(frozen=True)
class Letterbox:
    """Where a source of `width` × `height` pixels lies in a square of `side`, which is resized to `canvas`.

    The four pads are in source pixels, add up to `side − width` and `side − height`, and of an odd difference the
    larger half is to the right or at the bottom.
    """

    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int
    side: int
    canvas: int = CANVAS

    @classmethod
    def of(cls, width: int, height: int, canvas: int = CANVAS) -> Self:
        side = max(width, height)
        across, down = side - width, side - height
        left, top = across // 2, down // 2
        return cls(width, height, left, top, across - left, down - top, side, canvas)

    def record(self) -> dict[str, int]:
        """The numbers by name, for JSON."""
        return asdict(self)

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Self:
        return cls(**record)


def to_canvas(pixels: npt.NDArray[np.uint8], box: Letterbox) -> npt.NDArray[np.uint8]:
    """(height, width) or (height, width, 3) uint8 → (canvas, canvas, 3) uint8.

    Bit for bit Pillow's BICUBIC on the padded 8-bit square. Pillow itself resizes across, rounds to 8 bits, then
    down: done here as two calls, so that the square never exists as a whole.
    """
    canvas = _down(_across(pixels, box), box)
    return canvas if canvas.ndim == 3 else np.repeat(canvas[:, :, None], 3, axis=2)


def _across(pixels: npt.NDArray[np.uint8], box: Letterbox) -> npt.NDArray[np.uint8]:
    rows = max(1, _PIXELS_AT_ONCE // box.side)
    resized = np.empty((box.height, box.canvas, *pixels.shape[2:]), np.uint8)
    for first in range(0, box.height, rows):
        strip = pixels[first : first + rows]
        padded = np.zeros((len(strip), box.side, *pixels.shape[2:]), np.uint8)
        padded[:, box.left : box.left + box.width] = strip
        resized[first : first + rows] = _bicubic(padded, box.canvas, len(strip))
    return resized


def _down(rows: npt.NDArray[np.uint8], box: Letterbox) -> npt.NDArray[np.uint8]:
    padded = np.zeros((box.side, *rows.shape[1:]), np.uint8)
    padded[box.top : box.top + box.height] = rows
    return _bicubic(padded, box.canvas, box.canvas)


def _bicubic(pixels: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def from_canvas(canvas: npt.NDArray[T], box: Letterbox) -> npt.NDArray[T]:
    """(canvas, canvas) uint8 or float → (height, width) of the same dtype.

    Bilinear to the padded square, of which only the source's part is computed; Pillow's BILINEAR, which averages
    when it makes smaller. Floats are computed in float32.
    """
    scale = box.canvas / box.side
    part = (
        box.left * scale,
        box.top * scale,
        (box.left + box.width) * scale,
        (box.top + box.height) * scale,
    )
    exact = canvas if canvas.dtype == np.uint8 else canvas.astype(np.float32)
    image = Image.fromarray(exact).resize((box.width, box.height), Image.Resampling.BILINEAR, box=part)
    return np.asarray(image).astype(canvas.dtype, copy=False)
