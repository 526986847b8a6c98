"""Decode a JPEG with libjpeg-turbo directly: Pillow keeps four bytes a pixel and copies them once more.

Both use the same decoder underneath. The result is used only if libjpeg-turbo decodes the file without any warning;
every other file is left to Pillow.
"""

import numpy as np
import numpy.typing as npt
from PIL import ImageFile, JpegImagePlugin
from simplejpeg import decode_jpeg, decode_jpeg_header

_COLOURS = {"L": "GRAY", "RGB": "RGB"}


def jpeg_pixels(file: bytes, image: ImageFile.ImageFile) -> npt.NDArray[np.uint8] | None:
    """Return the pixels, (height, width) or (height, width, 3) uint8, of a file that is opened as `image` but not
    decoded.

    Returns None for a format other than JPEG, for CMYK, and for a file with any defect.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode not in _COLOURS:
        return None
    try:
        height, width, *_ = decode_jpeg_header(file)
        if (width, height) != image.size:  # only the size that was checked is accepted
            return None
        pixels = np.asarray(decode_jpeg(file, _COLOURS[image.mode], strict=True), np.uint8)
    except ValueError:
        return None
    return pixels[..., 0] if image.mode == "L" else pixels
