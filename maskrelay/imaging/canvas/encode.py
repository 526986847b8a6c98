"""Encoding of the canvas as the image file that is sent to the endpoint."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrelay.imaging.png import GRAY, SIGNATURE, gray_as_rgb_png, png

#: The offset, in a PNG file, of the byte that contains the colour type.
_COLOUR_TYPE = 25


def canvas_png(canvas: npt.NDArray[np.uint8], *, gray: bool = False, small: bool = False) -> bytes:
    """Encode a (1024, 1024) or (1024, 1024, 3) uint8 canvas as a PNG file of the same size, without metadata.

    The PNG is 8-bit RGB, which every endpoint reads. Only if `gray` is true, a gray canvas becomes a grayscale PNG.
    """
    return gray_as_rgb_png(canvas, small=small) if canvas.ndim == 2 and not gray else png(canvas, small=small)


@dataclass(frozen=True, slots=True)
class CanvasCoding:
    """How a canvas is encoded for the endpoint."""

    #: Whether a gray canvas is encoded as a grayscale PNG. Otherwise it is an RGB PNG.
    gray: bool = False
    #: Whether a colour canvas is encoded as a lossless WebP. Otherwise it is an RGB PNG.
    webp: bool = False
    #: Whether a PNG is made smaller than usual, which takes up to a tenth of a second.
    small: bool = False


#: The encoding that every endpoint reads.
RGB_PNG = CanvasCoding()


def encode_canvas(canvas: npt.NDArray[np.uint8], coding: CanvasCoding) -> bytes:
    """Encode a (1024, 1024) or (1024, 1024, 3) uint8 canvas."""
    if canvas.ndim == 3 and coding.webp:
        return canvas_webp(canvas)
    return canvas_png(canvas, gray=coding.gray, small=coding.small)


def canvas_webp(canvas: npt.NDArray[np.uint8]) -> bytes:
    """Encode a (1024, 1024, 3) uint8 canvas as lossless WebP.

    The file is a quarter smaller than the PNG, but takes five times as long to encode. With more effort, the file would
    be another tenth smaller, but would take four times as long to encode.
    """
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, "WEBP", lossless=True, quality=0, method=0)
    return out.getvalue()


def is_accepted(image: bytes, accepted: CanvasCoding) -> bool:
    """Return whether an endpoint accepts an encoded canvas.

    `accepted` contains the encodings that the endpoint accepts in addition to an RGB PNG.
    """
    if not image.startswith(SIGNATURE):
        return accepted.webp
    return accepted.gray or image[_COLOUR_TYPE] != GRAY


def as_png(image: bytes, *, gray: bool) -> bytes:
    """Convert an encoded canvas to a PNG. It is RGB, or grayscale if the canvas is gray and `gray` is true."""
    return canvas_png(np.asarray(Image.open(io.BytesIO(image))), gray=gray)
