"""Reading of the header of a still image file without decoding it, and translation of failures into coded errors.

Pillow's file classes are used directly, and not `Image.open`. That function applies the limit
`Image.MAX_IMAGE_PIXELS`, which is the same for the whole process and cannot be changed for one call while other threads
decode. Here, the limit is an argument.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO, TypeVar

from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from maskrelay.errors import ItemError, NotAnImage, TooManyPixels, Truncated, UnsupportedImage, ZeroSized
from maskrelay.imaging.bounds import check_chunks, check_scans, check_segments
from maskrelay.imaging.canvas.letterbox import LONGEST_SIDE

_Kind = TypeVar("_Kind", bound=ImageFile.ImageFile)

# All supported formats. A JPEG file may contain further images, such as previews (MPO). Only its first image is read.
_KINDS: tuple[tuple[re.Pattern[bytes], type[ImageFile.ImageFile]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    (re.compile(rb"\xff\xd8\xff"), JpegImagePlugin.JpegImageFile),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), TiffImagePlugin.TiffImageFile),
    (re.compile(rb"RIFF....WEBPVP8[ LX]", re.DOTALL), WebPImagePlugin.WebPImageFile),
    (re.compile(rb"BM"), BmpImagePlugin.BmpImageFile),
)

_ORIENTATION = 0x0112

_BEYOND_US = re.compile(
    r"unsupported|not supported|unknown|cannot handle|not available|not implemented|conversion|too large",
    re.IGNORECASE,
)


@contextmanager
def named_damage() -> Iterator[None]:
    """Translate every exception that Pillow raises inside the block into an ItemError.

    Pillow's own message is dropped, because it may quote the file. A lack of memory becomes TooManyPixels. Within the
    limit on pixels, only a forged header can require so much memory.
    """
    try:
        yield
    except ItemError:
        raise
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooManyPixels("The image needs more memory than is allowed.") from None
    except Exception as error:  # noqa: BLE001  for malicious bytes, a decoder may raise any exception
        if isinstance(error, NotImplementedError) or _BEYOND_US.search(str(error)):
            raise UnsupportedImage from None
        raise Truncated from None


def is_picture(head: bytes) -> bool:
    """Return whether a file that begins with these bytes has the signature of a supported format."""
    return _kind(head) is not None


def _kind(head: bytes) -> type[ImageFile.ImageFile] | None:
    return next((kind for signature, kind in _KINDS if signature.match(head)), None)


def open_header(file: bytes, *, max_pixels: int) -> ImageFile.ImageFile:
    """Open `file` (PNG, JPEG, TIFF, WebP or BMP) without decoding it, and check its size and its number of pages.

    Raises NotAnImage if the format is not supported, ZeroSized if the file is empty or the image has no pixels,
    TooManyPixels if the image is too large, UnsupportedImage if there are several pages or a limit in `bounds` is
    exceeded, and Truncated if the header is damaged.
    """
    if not file:
        raise ZeroSized("The file is empty.")
    kind = _kind(file)
    if kind is None:
        raise NotAnImage
    with named_damage():
        if kind is WebPImagePlugin.WebPImageFile:  # this decoder allocates the whole image when it opens the file
            check_size(_webp_size(file), max_pixels)
        if kind is JpegImagePlugin.JpegImageFile:
            check_segments(file)
        if kind is PngImagePlugin.PngImageFile:
            check_chunks(file)
        image = opened(kind, BytesIO(file))
        check_size(image.size, max_pixels)
        if kind is JpegImagePlugin.JpegImageFile:
            check_scans(file, image.width * image.height)
        if getattr(image, "is_animated", False):
            raise UnsupportedImage("The file has several pages or frames, which are only supported in a TIFF file.")
        return image


def opened(kind: type[_Kind], stream: BinaryIO) -> _Kind:
    """Open the image at the start of `stream` without decoding it.

    Raises ZeroSized if the image has no pixels. The exceptions of Pillow are not translated.
    """
    stream.seek(0)
    image = kind.__new__(kind)
    try:
        kind.__init__(image, stream)
    except SyntaxError:
        # Pillow raises the same error for a size of zero and for garbage. Only the partly initialised image
        # distinguishes them.
        if image.mode and 0 in image.size:
            raise ZeroSized from None
        raise
    return image


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Raise TooManyPixels if an image of the size (width, height) exceeds the limits."""
    width, height = size
    if width * height > max_pixels:
        detail = f"The image has {width} × {height} = {width * height} pixels; at most {max_pixels} are accepted."
        raise TooManyPixels(detail)
    if max(size) > LONGEST_SIDE:
        detail = f"The image has {width} × {height} pixels; at most {LONGEST_SIDE} are accepted along a side."
        raise TooManyPixels(detail)


def _webp_size(file: bytes) -> tuple[int, int]:
    """Return (width, height) as the WebP container declares them (RFC 9649 §2.5–2.7)."""
    if file[12:16] == b"VP8X":
        return 1 + int.from_bytes(file[24:27], "little"), 1 + int.from_bytes(file[27:30], "little")
    if file[12:16] == b"VP8L":
        bits = int.from_bytes(file[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(file[26:28], "little") & 0x3FFF, int.from_bytes(file[28:30], "little") & 0x3FFF


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation from 1 to 8, or 1 if there is none or it cannot be read.

    Pillow itself applies the orientation of a TIFF when it loads the file, and then removes it.
    """
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  an image with damaged metadata can still be read
        return 1
