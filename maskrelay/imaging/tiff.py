"""A TIFF of several pages, one page at a time.

Source of the layout: TIFF 6.0 §2 and the BigTIFF design: a chain of directories, each a count of entries, the entries,
and the place of the next directory, 0 after the last.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import TiffImagePlugin

from maskrelay.errors import FrameOutOfRange, NotAnImage, Truncated, UnsupportedImage, ZeroSized
from maskrelay.imaging.decode import plane_of
from maskrelay.imaging.header import check_size, named_damage, opened
from maskrelay.imaging.plane import Plane

#: More pages than any stack has; a longer chain is somebody's joke.
MOST_PAGES = 65_535

#: By the first four bytes: the byte order, whether it is a BigTIFF.
_KINDS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True)}
#: A BigTIFF of the other order, which Pillow takes for a plain one.
_NOT_READ = b"MM\0+"


def count_pages(file: bytes | Path, *, max_pixels: int) -> int:
    """How many pages a TIFF has, in memory or at a path; previews that are pages of their own count as such.

    Raises NotAnImage, ZeroSized, Truncated (also for a chain of pages that leaves the file or runs in a circle),
    UnsupportedImage, and TooManyPixels for a first page that is too large.
    """
    with _stream(file) as stream, named_damage():
        places = _places(stream)
        _page(stream, places, 0, max_pixels)
        return len(places)


def read_page(file: bytes | Path, index: int, *, max_pixels: int) -> Plane:
    """Page `index`, counted from 0, read by `decode.plane_of` as a file of one page is.

    The first page's header is read too: where that is of a kind not read, no page is. Raises the errors of
    `count_pages`, here of this page, and FrameOutOfRange.
    """
    with _stream(file) as stream, named_damage():
        places = _places(stream)
        if not 0 <= index < len(places):
            raise FrameOutOfRange(f"The file has {len(places)} pages; number {index} is not among them.")
        image = _page(stream, places, index, max_pixels)
        return plane_of(image, lambda: _page(stream, places, index, max_pixels))


@contextmanager
def _stream(file: bytes | Path) -> Iterator[BinaryIO]:
    with BytesIO(file) if isinstance(file, bytes) else file.open("rb") as stream:
        yield stream


def _page(stream: BinaryIO, places: list[int], index: int, max_pixels: int) -> TiffImagePlugin.TiffImageFile:
    image = opened(TiffImagePlugin.TiffImageFile, stream)
    image._frame_pos = places  # noqa: SLF001  known already: Pillow would parse every page up to this one
    image.seek(index)
    check_size(image.size, max_pixels)
    return image


def _places(stream: BinaryIO) -> list[int]:
    """Where the directories of the pages are, in their order."""
    head = stream.read(16)
    if not head:
        raise ZeroSized("The file is empty.")
    if head[:4] == _NOT_READ:
        raise UnsupportedImage("A BigTIFF in big-endian order is not read.")
    if head[:4] not in _KINDS:
        raise NotAnImage("This is not a TIFF file.")
    order, big = _KINDS[head[:4]]
    count, entry, pointer = (struct.Struct(order + "Q"), 20, "Q") if big else (struct.Struct(order + "H"), 12, "I")
    following = struct.Struct(order + pointer)
    places: dict[int, None] = {}
    [place] = following.unpack_from(head, 8 if big else 4)
    while place:
        if place in places:
            raise Truncated("The chain of pages runs in a circle.")
        if len(places) == MOST_PAGES:
            raise UnsupportedImage(f"The file has more than {MOST_PAGES} pages.")
        places[place] = None
        stream.seek(place)
        [entries] = count.unpack(stream.read(count.size))
        stream.seek(place + count.size + entries * entry)
        [place] = following.unpack(stream.read(following.size))
    if not places:
        raise ZeroSized("The file has no page.")
    return list(places)
