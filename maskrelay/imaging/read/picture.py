"""Decoding of a still image file to upright pixels, gray or RGB. They have the bits of the source, or 8 bits."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

from maskrelay.imaging.bands import in_bands
from maskrelay.imaging.intensity.window import to_bytes
from maskrelay.imaging.plane import Plane
from maskrelay.imaging.read.deep_colour import (
    has_deep_colour,
    has_deep_gray,
    has_multiplied_alpha,
    read_deep_colour,
    read_deep_gray,
    read_over_black,
)
from maskrelay.imaging.read.footprint import still_footprint
from maskrelay.imaging.read.image_header import (
    named_damage,
    open_header,
    opened,
    orientation_of,
)
from maskrelay.imaging.read.jpeg import jpeg_pixels
from maskrelay.imaging.read.png_inflate import stored_png
from maskrelay.imaging.read.strips import array_of
from maskrelay.imaging.read.tiff_layout import check_layout, is_white_at_zero

_GRAY = ("1", "L", "LA", "La")
#: Pillow's names for the gray layouts of PNG whose samples it scales to 8 bits, each with the factor.
_FACTORS = {"L;2": 85, "L;4": 17}


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded frame."""

    #: The pixels, in the shape (height, width) for gray or (height, width, 3) for RGB.
    pixels: npt.NDArray[np.uint8]
    #: The bits per sample in the source.
    bits: int
    #: The name of the conversion to 8 bits, or `none` if the samples were not converted.
    intensity: str


def decode(file: bytes, *, max_pixels: int) -> Picture:
    """Decode a single-page PNG, JPEG, TIFF, WebP or BMP file like `read_still`, and convert it to 8 bits.

    Deeper samples are converted by `intensity.window.to_bytes`. For 16-bit colour, the window is that of all three
    channels together.
    """
    plane = read_still(file, max_pixels=max_pixels)
    pixels, done = to_bytes(plane, None)
    return Picture(pixels, plane.bits, done)


@dataclass(frozen=True, eq=False)
class Still:
    """A file whose header was read and checked."""

    file: bytes
    image: ImageFile.ImageFile
    #: The peak memory, in bytes, of decoding the image and converting it to the canvas.
    footprint: int

    def plane(self) -> Plane:
        """Decode the image like `read_still`. Call this only once."""
        file, image = stored_png(self.file), self.image
        with named_damage():
            if file is not self.file:
                image = opened(type(image), BytesIO(file))
            pixels = jpeg_pixels(file, image)
            if pixels is not None:
                return Plane(_upright(pixels, orientation_of(image)), 8)
            return plane_of(image, lambda: opened(type(image), BytesIO(file)))


def open_still(file: bytes, *, max_pixels: int) -> Still:
    """Read the header of a PNG, JPEG, TIFF, WebP or BMP file. Raises the errors of `image_header.open_header`."""
    image = open_header(file, max_pixels=max_pixels)
    with named_damage():
        return Still(file, image, still_footprint(image))


def read_still(file: bytes, *, max_pixels: int) -> Plane:
    """Decode a single-page PNG, JPEG, TIFF, WebP or BMP file with its own bits per sample.

    Palettes, CMYK and YCbCr are converted to RGB, transparent pixels are composited over black, and the EXIF
    orientation is applied. Raises only the errors of `image_header.open_header`. An incomplete file is an error: its
    missing part is never filled.
    """
    return open_still(file, max_pixels=max_pixels).plane()


def plane_of(image: ImageFile.ImageFile, again: Callable[[], ImageFile.ImageFile]) -> Plane:
    """Decode an opened image to upright gray or RGB.

    The result has the bits per sample of the source if these are more than 8, and is uint8 otherwise. `again` opens the
    same image once more, which is needed for 16-bit colour. Raises UnsupportedImage for a TIFF layout that is not
    supported. The exceptions of Pillow are not translated.
    """
    inverted = False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        check_layout(image.tag_v2)
        inverted = is_white_at_zero(image.tag_v2)
    bits = _bits(image)
    if has_deep_gray(image):
        values = _without_colour(read_deep_gray(image), image)
    elif has_deep_colour(image):
        values = _without_colour(read_deep_colour(image, again), image)
    elif has_multiplied_alpha(image):
        values = read_over_black(image)
    else:
        _scale_transparent_gray(image)
        image.load()
        values, bits = array_of(image, _over_black), min(bits, 8)
        if _has_signed_bytes(image):  # Pillow reads −1 as 255
            values = values.view(np.int8)
    return Plane(_upright(values, orientation_of(image)), bits, inverted)


def _scale_transparent_gray(image: ImageFile.ImageFile) -> None:
    """Scale the gray that a PNG of 2 or 4 bits declares as transparent (tRNS), as Pillow scales the samples to 8 bits.

    The image must not be loaded yet.
    """
    if isinstance(image, PngImagePlugin.PngImageFile) and isinstance(image.info.get("transparency"), int):
        image.info["transparency"] *= next((_FACTORS.get(str(tile.args), 1) for tile in image.tile), 1)


def _bits(image: ImageFile.ImageFile) -> int:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))[0])
    if image.mode.startswith("I;16") or has_deep_colour(image):
        return 16
    return {"1": 1, "I": 32, "F": 32}.get(image.mode, 8)


def _has_signed_bytes(image: ImageFile.ImageFile) -> bool:
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or image.mode != "L":
        return False
    return bool(image.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0] == 2)


def _over_black(image: Image.Image) -> Image.Image:
    """Convert the image to gray (`L`) or `RGB`. Transparent pixels are composited over black."""
    target, with_alpha = ("L", "LA") if image.mode in _GRAY else ("RGB", "RGBA")
    if not image.has_transparency_data:
        return image if image.mode == target else image.convert(target)
    layered = image if image.mode == with_alpha else image.convert(with_alpha)
    flat = Image.new(target, image.size)
    flat.paste(layered.convert(target), mask=layered.getchannel("A"))
    return flat


def _without_colour(values: npt.NDArray[Any], image: Image.Image) -> npt.NDArray[Any]:
    """Return deep samples in which the value or colour that a PNG declares as transparent (tRNS) is black."""
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int | tuple):
        return values
    sought = np.array(transparent, values.dtype)

    def blackened(band: npt.NDArray[Any]) -> npt.NDArray[Any]:
        through = (band == sought).reshape(*band.shape[:2], -1).all(axis=-1)
        band = band.copy()
        band[through] = 0
        return band

    return in_bands(values, blackened)


def _upright(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
