"""Decoding of JPEG files with libjpeg-turbo, without Pillow.

Pillow uses the same library, but it holds four bytes per pixel and copies them once more. The result is used only if
libjpeg-turbo decodes the file without a warning. Pillow decodes all other files.
"""

import numpy as np
import numpy.typing as npt
from PIL import ImageFile, JpegImagePlugin
from simplejpeg import decode_jpeg, decode_jpeg_header

_COLOURS = {"L": "GRAY", "RGB": "RGB"}


def jpeg_pixels(file: bytes, image: ImageFile.ImageFile) -> npt.NDArray[np.uint8] | None:
    """Return the pixels of a file that Pillow has opened as `image` but not decoded.

    The pixels are uint8, in the shape (height, width) or (height, width, 3). Return None if the file is not a JPEG, if
    it is CMYK, or if it has any defect.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode not in _COLOURS:
        return None
    try:
        height, width, *_ = decode_jpeg_header(file)
        if (width, height) != image.size:  # the limits were checked only for the size that Pillow found
            return None
        pixels = np.asarray(decode_jpeg(file, _COLOURS[image.mode], strict=True), np.uint8)
    except ValueError:
        return None
    return pixels[..., 0] if image.mode == "L" else pixels
