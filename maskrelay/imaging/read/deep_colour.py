"""Reading of samples of more than 8 bits without losing precision.

Pillow reads gray samples of 16 or 32 bits completely. Of 16-bit colour samples, it reads only the high byte. A file
with such samples is therefore read a second time with the opposite byte order, which returns the low bytes. Both
results are then combined.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ImageFile, TiffImagePlugin

from maskrelay.errors import UnsupportedImage
from maskrelay.imaging.bands import bands
from maskrelay.imaging.read.strips import array_of

_GRAY_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
#: Pillow's names for layouts with big-endian samples, each with the name of the same layout in native byte order.
_BIG_ENDIAN = {"I;16BS": "I;16NS", "I;32B": "I;32N", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
_BIG, _LITTLE = ("16B", "16L")
_OTHER_ORDER = {_BIG: _LITTLE, _LITTLE: _BIG, "16N": _BIG if sys.byteorder == "little" else _LITTLE}
# The layouts that Pillow can read in both byte orders, without computing one sample from another.
_BOTH_WAYS = ("RGB", "RGBA", "RGBX")


def has_deep_gray(image: ImageFile.ImageFile) -> bool:
    """Return whether the image has one channel of 16 or 32 bits, integer or float."""
    return image.mode in _GRAY_MODES


def read_deep_gray(image: ImageFile.ImageFile) -> npt.NDArray[Any]:
    """Return the samples as a (height, width) array of uint16, int32, uint32 or float32 in native byte order.

    The samples of a 16-bit TIFF in which 0 means white are inverted.
    """
    image.tile = [_as_libtiff_gives(tile) for tile in image.tile]
    image.load()
    values = array_of(image)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return values
    tags = image.tag_v2
    whole = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))[0] == 32
    if image.mode == "I" and whole and tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0] == 1:
        return values.view(np.uint32)  # Pillow's 32-bit integers are signed
    if values.dtype == np.uint16 and tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        inverted: npt.NDArray[Any] = ~values
        return inverted
    return values


def _as_libtiff_gives(tile: ImageFile._Tile) -> ImageFile._Tile:
    """If libtiff decodes the tile, return it with native byte order. Otherwise, return it unchanged.

    libtiff returns samples in native byte order, but Pillow would read some of them in the byte order of the file.
    """
    layout = _layout(tile)
    if tile.codec_name != "libtiff" or layout not in _BIG_ENDIAN:
        return tile
    return tile._replace(args=(_BIG_ENDIAN[layout], *(tile.args or ())[1:]))


def has_deep_colour(image: ImageFile.ImageFile) -> bool:
    """Return whether an image has several 16-bit channels, which Pillow would reduce to 8 bits.

    The image must not be loaded yet.
    """
    return not has_deep_gray(image) and any(";16" in _layout(tile) for tile in image.tile)


def read_deep_colour(image: ImageFile.ImageFile, again: Callable[[], ImageFile.ImageFile]) -> npt.NDArray[np.uint16]:
    """Return the samples as uint16, in the shape (height, width, 3), or (height, width) for gray with alpha.

    Transparent pixels are composited over black. The function loads `image`, and a second image that `again` opens from
    the same file. Raises UnsupportedImage for a layout that Pillow reads in one byte order only: CMYK, premultiplied
    alpha, or separate planes.
    """
    layouts = {_layout(tile) for tile in image.tile}
    if layouts == {"LA;16B"}:  # a pixel has four bytes, so it is read as RGBA
        return array_of(
            _loaded(image, "RGBA"), lambda band: _over_black(np.asarray(band).view(">u2").astype(np.uint16))[..., 0]
        )
    channels, _, order = layouts.pop().partition(";")
    if layouts or channels not in _BOTH_WAYS or order not in _OTHER_ORDER:
        raise UnsupportedImage("16-bit colour in this layout is not supported.")
    low = _loaded(again(), f"{channels};{_OTHER_ORDER[order]}")
    high = _loaded(image, f"{channels};{order}")
    deep = np.empty((*high.size[::-1], 3), np.uint16)
    for rows in bands(deep.shape):
        band = (0, rows.start, high.width, rows.stop)
        wide = np.asarray(high.crop(band)).astype(np.uint16)
        wide <<= 8
        wide |= np.asarray(low.crop(band))
        deep[rows] = _over_black(wide) if channels == "RGBA" else wide[..., :3]
    return deep


def has_multiplied_alpha(image: ImageFile.ImageFile) -> bool:
    """Return whether an image has premultiplied alpha. The image must not be loaded yet."""
    return {_layout(tile) for tile in image.tile} == {"RGBa"}


def read_over_black(image: ImageFile.ImageFile) -> npt.NDArray[np.uint8]:
    """Return the stored colours of an image with premultiplied alpha, as a (height, width, 3) uint8 array.

    The stored colours are already composited over black. Pillow itself would divide them by alpha, and round.
    """
    return array_of(_loaded(image, "RGBA"), lambda band: np.asarray(band)[..., :3])


def _layout(tile: ImageFile._Tile) -> str:
    """Return Pillow's name for the layout in the file, which is the only or the first argument of the tile."""
    first = tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0]
    return first if isinstance(first, str) else ""


def _loaded(image: ImageFile.ImageFile, layout: str) -> ImageFile.ImageFile:
    image.tile = [
        tile._replace(args=layout if isinstance(tile.args, str) else (layout, *(tile.args or ())[1:]))
        for tile in image.tile
    ]
    image.load()
    return image


def _over_black(layered: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return the image over black: the channels multiplied by alpha (the last channel) and rounded."""
    product = layered[..., :-1].astype(np.uint32) * layered[..., -1:]
    return ((product + 0x7FFF) // 0xFFFF).astype(np.uint16)
