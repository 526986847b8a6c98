"""Estimates of the peak memory for preparing a frame, from its header and before a pixel is decoded.

The constants are the measured peak allocations of each decoder, without the file itself.
`tests/unit/imaging/read/test_footprint.py` compares the estimates with the peak memory of a process for every format
and pixel type.
"""

from math import prod
from typing import Any

from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from maskrelay.contract.wire.image2d import CANVAS
from maskrelay.imaging.canvas.letterbox import PIXELS_AT_ONCE
from maskrelay.imaging.read.deep_colour import has_deep_colour, has_deep_gray
from maskrelay.imaging.read.image_header import orientation_of

#: The memory for the bands that are converted at a time, and for the libraries' own allocations.
_BANDS = 48 << 20
_GRAY = ("1", "L", "LA", "La")
#: The bytes per pixel that Pillow uses in each mode. It uses four in every other mode.
_KEPT = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
#: The bytes per pixel of WebP's decoder. It has two canvases and returns copies of the image, all of them with alpha.
_WEBP = 12
#: The bytes per coefficient of a JPEG. If it has several scans, the decoder holds all coefficients, and each component
#: may have as many coefficients as the image has pixels.
_COEFFICIENT = 2


def still_footprint(image: ImageFile.ImageFile) -> int:
    """Return the peak memory, in bytes, of decoding an image and converting it to the canvas.

    Pillow must have opened the image, but not decoded it.
    """
    pixels, kept = prod(image.size), _KEPT.get(image.mode, 4)
    if has_deep_gray(image):
        made, shown = kept, 1
    elif has_deep_colour(image):
        made, shown, kept = 6, 3, 8
    else:
        made = shown = 1 if image.mode in _GRAY else 3
    decoding = kept + made * (2 if _may_be_turned(image) else 1) + _of_codec(image)
    windowing = made + (2 * shown if made != shown else 0)
    return _BANDS + max(pixels * max(decoding, windowing), pixels * shown + canvas_bytes(*image.size, shown))


def _may_be_turned(image: ImageFile.ImageFile) -> bool:
    """Return whether the image may be copied to turn it upright. A PNG may declare its orientation after its pixels."""
    return isinstance(image, PngImagePlugin.PngImageFile) or orientation_of(image) != 1


def _of_codec(image: ImageFile.ImageFile) -> int:
    """Return the bytes per pixel that the decoder needs in addition to the image."""
    if isinstance(image, WebPImagePlugin.WebPImageFile):
        return _WEBP
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return _COEFFICIENT * len(image.getbands())
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _of_libtiff(image)
    return 0 if isinstance(image, BmpImagePlugin.BmpImageFile) else 1


def _of_libtiff(image: TiffImagePlugin.TiffImageFile) -> int:
    """Return the bytes per pixel that libtiff and Pillow need in addition to the image.

    libtiff holds a strip or tile, which may be the whole image. Pillow makes a copy if it applies an orientation.
    """
    tags, turned = image.tag_v2, 0 if orientation_of(image) == 1 else 8
    if tags.get(TiffImagePlugin.COMPRESSION, 1) == 1:
        return turned
    bits: Any = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    return turned + -(-int(max(bits)) * int(tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)) // 8)


def canvas_bytes(width: int, height: int, channels: int) -> int:
    """Return the bytes that the conversion to the canvas needs in addition to the image.

    They are needed for bands of the padded square, and for the resized rows.
    """
    side = max(width, height)
    return 3 * channels * (min(PIXELS_AT_ONCE, side * height) + CANVAS * side)


def nifti_footprint(width: int, height: int, stored_bytes: int) -> int:
    """Return the peak memory, in bytes, of a slice whose voxels have `stored_bytes` bytes in the file.

    The stored voxels, their values as float64 with a copy, and the converted bytes are in memory at the same time.
    """
    decoding = width * height * (2 * stored_bytes + 3 * 8 + 2)
    return _BANDS + max(decoding, width * height * 3 + canvas_bytes(width, height, 3))


def dicom_footprint(width: int, height: int, sample_bytes: int, samples: int, *, compressed: bool) -> int:
    """Return the peak memory of a DICOM frame, in bytes.

    The peak is either during decoding, or when the samples, their values as float64, the padding and the converted
    bytes are in memory at the same time.
    """
    stored = sample_bytes * samples
    decoding = stored * (7 if compressed else 2)
    values = stored + (8 if samples == 1 else stored + 3) + 6
    shown = 3 if samples == 3 else 1
    pixels = width * height
    return _BANDS + max(pixels * max(decoding, values), pixels * shown + canvas_bytes(width, height, shown))
