"""Reading of a multi-page TIFF, one page at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import TiffImagePlugin

from maskrelay.errors import FrameOutOfRange, Truncated, UnsupportedImage
from maskrelay.imaging.plane import Plane
from maskrelay.imaging.read.footprint import still_footprint
from maskrelay.imaging.read.image_header import check_size, named_damage, opened
from maskrelay.imaging.read.picture import plane_of
from maskrelay.imaging.read.tiff_pages import TiffPages, read_pages

#: The sample types of uncompressed stacks by SampleFormat and BitsPerSample, as numpy types without byte order.
_CONTIGUOUS = {(1, 8): "u1", (2, 8): "i1", (1, 16): "u2", (2, 16): "i2", (1, 32): "u4", (2, 32): "i4", (3, 32): "f4"}
_RGB = 2


def count_pages(file: bytes | Path, *, max_pixels: int) -> int:
    """Return the number of images in a TIFF, as `find_pages` counts them."""
    return find_pages(file, max_pixels=max_pixels).count


def find_pages(file: bytes | Path, *, max_pixels: int) -> TiffPages:
    """Find the images of a TIFF file, which is in memory or at a path.

    Raises NotAnImage if it is not a TIFF file, ZeroSized if it has no pages or pixels, UnsupportedImage if its layout
    is not supported, TooManyPixels if the first image is too large, and Truncated if the file is incomplete or its
    chain of pages is circular.
    """
    with _stream(file) as stream, named_damage():
        pages = _pages_of(file, stream)
        image = _page(stream, pages, pages.pictures[0], max_pixels)
        if pages.planes > 1:
            _check_planes(stream, image, pages.planes)
        return pages


def read_page(file: bytes | Path, index: int, *, max_pixels: int) -> Plane:
    """Read image `index`, counted from 0 among the images that `find_pages` finds, like `picture.plane_of`.

    The header of the first page is read too. If the first page is not supported, no page can be read. Raises
    FrameOutOfRange if there is no such image, and the errors of `find_pages` for this page.
    """
    with _stream(file) as stream, named_damage():
        pages = _pages_of(file, stream)
        if not 0 <= index < pages.count:
            raise FrameOutOfRange(f"The file has {pages.count} pages. There is no page with the number {index}.")
        if pages.planes > 1:
            return _read_plane(stream, _page(stream, pages, 0, max_pixels), index, pages.planes)
        image = _page(stream, pages, pages.pictures[index], max_pixels)
        return plane_of(image, lambda: _page(stream, pages, pages.pictures[index], max_pixels))


def page_footprint(file: bytes | Path, index: int, *, max_pixels: int) -> int:
    """Return the peak memory, in bytes, of reading image `index`. The image is not decoded.

    Raises the same errors as `read_page`.
    """
    with _stream(file) as stream, named_damage():
        pages = _pages_of(file, stream)
        if not 0 <= index < pages.count:
            raise FrameOutOfRange(f"The file has {pages.count} pages. There is no page with the number {index}.")
        return still_footprint(_page(stream, pages, 0 if pages.planes > 1 else pages.pictures[index], max_pixels))


@contextmanager
def _stream(file: bytes | Path) -> Iterator[BinaryIO]:
    with BytesIO(file) if isinstance(file, bytes) else file.open("rb") as stream:
        yield stream


def _pages_of(file: bytes | Path, stream: BinaryIO) -> TiffPages:
    if isinstance(file, bytes):
        return read_pages(stream)
    now = file.stat()
    return _pages_at(file, now.st_mtime_ns, now.st_size)


@lru_cache(maxsize=2)
def _pages_at(path: Path, _written: int, _size: int) -> TiffPages:
    """Return the pages of the file at `path`.

    The result is cached, so the chain of pages is followed only once and not for each page. The time and the size are
    arguments, so that a cached result is not used after the file was written again.
    """
    with path.open("rb") as stream:
        return read_pages(stream)


def _page(stream: BinaryIO, pages: TiffPages, number: int, max_pixels: int) -> TiffImagePlugin.TiffImageFile:
    """Open the directory with this number, counted from 0 among all directories, as an image."""
    image = opened(TiffImagePlugin.TiffImageFile, stream)
    image._frame_pos = list(pages.places)  # noqa: SLF001  otherwise, Pillow would parse every page up to this page
    image.seek(number)
    check_size(image.size, max_pixels)
    return image


def _check_planes(stream: BinaryIO, image: TiffImagePlugin.TiffImageFile, planes: int) -> tuple[int, int]:
    """Return the offset of the first image of a stack that has one directory, and the number of bytes per image."""
    tags = image.tag_v2
    offsets, sizes = tags.get(TiffImagePlugin.STRIPOFFSETS, ()), tags.get(TiffImagePlugin.STRIPBYTECOUNTS, ())
    starts = [offsets[0] + sum(sizes[:number]) for number in range(len(sizes))] if offsets else []
    kind, channels = _samples_of(tags)
    compressed = int(tags.get(TiffImagePlugin.COMPRESSION, 1)) != 1
    if kind is None or compressed or list(offsets) != starts:
        raise UnsupportedImage(f"One page of the file declares {planes} images, in a layout that is not supported.")
    length = image.width * image.height * channels * kind.itemsize
    if stream.seek(0, 2) < offsets[0] + planes * length:
        raise Truncated(f"The file declares {planes} images, but it ends before the last.")
    return int(offsets[0]), length


def _samples_of(tags: TiffImagePlugin.ImageFileDirectory_v2) -> tuple[np.dtype[Any] | None, int]:
    """Return the type of the samples in the byte order of the file, and the number of channels: 1, or 3 for RGB.

    The type is None if the layout is not supported.
    """
    channels = int(tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1))
    photometric = int(tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 1))
    is_gray = channels == 1 and photometric in (0, 1)
    is_rgb = channels == 3 and photometric == _RGB and int(tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1)) == 1
    formats, depths = (tags.get(tag, (1,)) for tag in (TiffImagePlugin.SAMPLEFORMAT, TiffImagePlugin.BITSPERSAMPLE))
    kinds = set(product(formats, depths))
    name = _CONTIGUOUS.get(kinds.pop()) if len(kinds) == 1 else None
    if name is None or not (is_gray or (is_rgb and name in ("u1", "u2"))):
        return None, channels
    return np.dtype(("<" if tags.prefix == b"II" else ">") + name), channels


def _read_plane(stream: BinaryIO, image: TiffImagePlugin.TiffImageFile, index: int, planes: int) -> Plane:
    start, length = _check_planes(stream, image, planes)
    stream.seek(start + index * length)
    kind, channels = _samples_of(image.tag_v2)
    stored = np.frombuffer(stream.read(length), kind)
    shape = (image.height, image.width) if channels == 1 else (image.height, image.width, channels)
    values = stored.reshape(shape).astype(stored.dtype.newbyteorder("="))
    bits = 8 * values.dtype.itemsize
    if int(image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 1)) != 0:
        return Plane(values, bits)
    return Plane(values, bits, inverted=True) if values.dtype.kind == "f" else Plane(~values, bits)
