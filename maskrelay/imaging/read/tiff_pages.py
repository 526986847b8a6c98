"""The directories of a TIFF file, and the choice of those that are images of their own.

The directories form a chain. A directory consists of the number of its entries, the entries, and the offset of the next
directory, which is 0 in the last one. Sources: TIFF 6.0 §2 and §8, the BigTIFF design, and OpenSlide's documentation of
the files of slide scanners.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from maskrelay.errors import NotAnImage, Truncated, UnsupportedImage, ZeroSized

#: The largest number of pages. No real stack has more.
MOST_PAGES = 65_535
#: The largest number of tags of a page. No real page has more.
MOST_TAGS = 4096

#: The byte order of a file, and whether it is a BigTIFF, by its first four bytes.
_KINDS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True)}
#: The first bytes of a big-endian BigTIFF. Pillow would read such a file as a plain TIFF.
_NOT_READ = b"MM\0+"
#: The supported types of entries by number, as letters of `struct`.
_TYPES = {1: "B", 2: "s", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}
_LONGEST_TEXT = 8192

_NEW_SUBFILE, _SUBFILE, _WIDTH, _HEIGHT, _COMPRESSION, _DESCRIPTION, _TILE_WIDTH = 254, 255, 256, 257, 259, 270, 322
_SUB_DIRECTORIES, _METAMORPH, _HAMAMATSU = 330, 33629, 65420
_SIZES = (_WIDTH, _HEIGHT, _TILE_WIDTH)
_WANTED = frozenset(
    {*_SIZES, _NEW_SUBFILE, _SUBFILE, _COMPRESSION, _DESCRIPTION, _SUB_DIRECTORIES, _METAMORPH, _HAMAMATSU}
)
#: The supported compressions: none, CCITT, LZW, JPEG, deflate, PackBits, LZMA and ZStandard. 0 means that there is no
#: such tag.
_COMPRESSIONS = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000})
#: The bits of NewSubfileType for a smaller version and for a mask of another page, and the value of SubfileType for a
#: smaller version.
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2
#: Patterns for the descriptions of slide scans whose first page is the slide at full size.
_SLIDES = re.compile(r"^Aperio|DPUfsImport")
#: Patterns for the descriptions of slide scans that are not supported.
_OTHER_SLIDES = re.compile(r"<iScan|<scn|^Label[ _]Image", re.IGNORECASE)
_IMAGEJ = re.compile(r"^ImageJ=.*?^images=([0-9]+)", re.DOTALL | re.MULTILINE)
_SHAPED = re.compile(r'^\{"shape": \[([0-9, ]+)\].*"truncated": true')


class TiffLayout(NamedTuple):
    """The layout of the directories of a file. Formats are those of the module `struct`."""

    #: The byte order: `<` or `>`.
    order: str
    #: The format of the number of entries.
    counted: str
    #: The size of an entry in bytes.
    entry: int
    #: The format of an offset.
    pointer: str


@dataclass(frozen=True, slots=True)
class TiffPage:
    """One directory of a file. A directory describes a page."""

    #: The offset of the directory in the file.
    place: int
    #: (width, height) of the page in pixels.
    size: tuple[int, int] = (0, 0)
    is_tiled: bool = False
    #: Whether the page is a smaller version, or a mask, of another page.
    is_part: bool = False
    #: Whether the page belongs to the scan of a slide.
    is_slide: bool = False
    has_sub_directories: bool = False
    compression: int = 1
    #: The number of images that the directory stands for. They are stored consecutively.
    planes: int = 1


@dataclass(frozen=True, slots=True)
class TiffPages:
    """The directories of a file, and the choice of those that are images of their own."""

    #: The offsets of all directories, in order.
    places: tuple[int, ...]
    #: The numbers of the directories that are images of their own.
    pictures: tuple[int, ...]
    #: The number of images, if the file has one directory that stands for several images, as ImageJ writes it.
    #: Otherwise 1.
    planes: int = 1

    @property
    def count(self) -> int:
        return self.planes if self.planes > 1 else len(self.pictures)

    @property
    def left_out(self) -> int:
        return len(self.places) - len(self.pictures)


def read_pages(stream: BinaryIO) -> TiffPages:
    """Find the images of a file.

    Smaller versions and masks of other pages are left out. In the scan of a slide, the lower levels of the pyramid, the
    label and the overview are left out as well. Raises NotAnImage, ZeroSized, Truncated or UnsupportedImage.
    """
    pages = _directories(stream)
    places, first = tuple(page.place for page in pages), pages[0]
    if first.planes > 1 and len(pages) not in (1, first.planes):
        raise UnsupportedImage(f"The file has {len(pages)} pages, but it declares {first.planes} images.")
    found = TiffPages(places, _pictures(pages), first.planes if len(pages) == 1 else 1)
    for number in found.pictures:
        if pages[number].compression not in _COMPRESSIONS:
            raise UnsupportedImage(f"Compression {pages[number].compression} is not supported in a TIFF.")
    return found


def _pictures(pages: Sequence[TiffPage]) -> tuple[int, ...]:
    first = pages[0]
    if first.is_slide:
        return (0,)
    pictures = [number for number, page in enumerate(pages) if not page.is_part]
    if not pictures and first.has_sub_directories:
        raise UnsupportedImage("The only page is a preview of an image in a subdirectory, which is not supported.")
    if first.is_tiled:
        pictures = [number for number in pictures if pages[number].size == first.size]
    elif any(page.is_tiled and page.size > first.size for page in pages):
        raise UnsupportedImage("The file seems to be the scan of a slide, but its first page is not the largest.")
    return tuple(pictures) or (0,)


def _directories(stream: BinaryIO) -> Sequence[TiffPage]:
    head = stream.read(16)
    if not head:
        raise ZeroSized("The file is empty.")
    if head[:4] == _NOT_READ:
        raise UnsupportedImage("A BigTIFF with big-endian byte order is not supported.")
    if head[:4] not in _KINDS:
        raise NotAnImage("This is not a TIFF file.")
    order, big = _KINDS[head[:4]]
    layout = TiffLayout(order, "Q", 20, "Q") if big else TiffLayout(order, "H", 12, "L")
    pages: dict[int, TiffPage] = {}
    [place] = struct.unpack_from(order + layout.pointer, head, 8 if big else 4)
    while place:
        if place in pages:
            raise Truncated("The chain of pages is circular.")
        if len(pages) == MOST_PAGES:
            raise UnsupportedImage(f"The file has more than {MOST_PAGES} pages.")
        pages[place], place = _directory(stream, place, layout)
    if not pages:
        raise ZeroSized("The file has no pages.")
    return list(pages.values())


def _directory(stream: BinaryIO, place: int, layout: TiffLayout) -> tuple[TiffPage, int]:
    """Return the page at the offset `place`, and the offset of the next page."""
    stream.seek(place)
    counted = struct.Struct(layout.order + layout.counted)
    [entries] = counted.unpack(stream.read(counted.size))
    pointer = struct.Struct(layout.order + layout.pointer)
    if entries > MOST_TAGS:
        raise UnsupportedImage(f"A page has more than {MOST_TAGS} tags.")
    body = stream.read(entries * layout.entry + pointer.size)
    if len(body) != entries * layout.entry + pointer.size:
        raise Truncated("The entries of a page extend beyond the end of the file.")
    tags: dict[int, tuple[int, int, bytes]] = {}
    for at in range(0, entries * layout.entry, layout.entry):
        tag, kind = struct.unpack_from(layout.order + "HH", body, at)
        if tag in _WANTED:
            [count] = struct.unpack_from(layout.order + layout.pointer, body, at + 4)
            tags[tag] = kind, count, body[at + 4 + pointer.size : at + layout.entry]
    [following] = pointer.unpack_from(body, entries * layout.entry)
    return _page(stream, place, tags, layout), following


def _page(stream: BinaryIO, place: int, tags: dict[int, tuple[int, int, bytes]], layout: TiffLayout) -> TiffPage:
    def number(tag: int) -> int:
        kind, count, raw = tags.get(tag, (0, 0, b""))
        letter = _TYPES.get(kind)
        if letter in (None, "s") or count < 1 or struct.calcsize(f"<{letter}") > len(raw):
            return 0
        return int(struct.unpack_from(f"{layout.order}{letter}", raw)[0])

    description = _text(stream, tags.get(_DESCRIPTION), layout)
    if _OTHER_SLIDES.search(description):
        raise UnsupportedImage("Slide scans of this manufacturer are not supported.")
    if tags.get(_METAMORPH, (0, 0))[1] > 1:
        raise UnsupportedImage("A MetaMorph stack is not supported. Save it as a TIFF with one page for each image.")
    new, old = number(_NEW_SUBFILE), number(_SUBFILE)
    return TiffPage(
        place,
        size=(number(_WIDTH), number(_HEIGHT)),
        is_tiled=_TILE_WIDTH in tags,
        is_part=bool(new & (_REDUCED | _MASK)) or old == _OLD_REDUCED,
        is_slide=_HAMAMATSU in tags or bool(_SLIDES.search(description)),
        has_sub_directories=_SUB_DIRECTORIES in tags,
        compression=number(_COMPRESSION),
        planes=_planes(description),
    )


def _text(stream: BinaryIO, entry: tuple[int, int, bytes] | None, layout: TiffLayout) -> str:
    """Return the beginning of a text, or an empty string if there is no text."""
    if entry is None or entry[0] not in (1, 2, 7):
        return ""
    _, count, raw = entry
    if count > len(raw):
        stream.seek(struct.unpack(layout.order + layout.pointer, raw)[0])
        raw = stream.read(min(count, _LONGEST_TEXT))
    return raw[: min(count, _LONGEST_TEXT)].rstrip(b"\0").decode("latin-1")


def _planes(description: str) -> int:
    """Return the number of images that a directory with this description stands for.

    ImageJ and tifffile write stacks of consecutive images with one directory.
    """
    if found := _IMAGEJ.search(description):
        return int(found[1])
    if found := _SHAPED.search(description):
        shape = [int(side) for side in found[1].split(",") if side.strip()]
        colours = 1 if len(shape) > 2 and shape[-1] in (3, 4) else 0
        planes = 1
        for side in shape[: len(shape) - 2 - colours]:
            planes *= side
        return planes
    return 1
