"""The assignment of the fragments of an encapsulated object to its frames. Source: PS3.5 A.4.

A frame begins where a codestream begins. With one exception (see `_grouped`), the offset tables are not used to find
frames. A correct table adds no information, and with a wrong table the image of another frame would be read.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.uid import RLELossless

from maskrelay.errors import TagInvalid, Truncated
from maskrelay.imaging.dicom import jpeg2000_codestream, jpeg_codestream
from maskrelay.imaging.dicom.header import Header, PixelElement
from maskrelay.imaging.dicom.run_length import looks_like_rle
from maskrelay.imaging.dicom.sample_layout import SampleLayout
from maskrelay.imaging.dicom.stream import ElementStream
from maskrelay.imaging.dicom.tags import named, octets

_ITEM, _END = 0xE000FFFE, 0xE0DDFFFE
_HEAD = 64
_JP2 = b"\0\0\0\x0cjP  "
_STARTS = (jpeg_codestream.START + b"\xff", jpeg2000_codestream.START, _JP2)


@dataclass(frozen=True, slots=True)
class Fragment:
    """The location of a fragment: `length` bytes from `offset` on in the source."""

    offset: int
    length: int
    #: Whether a codestream begins at the start of the fragment.
    begins: bool


@dataclass(frozen=True, eq=False)
class FragmentedFrames:
    """The frames of an encapsulated object."""

    #: The fragments of each frame that was found.
    each: Sequence[Sequence[Fragment]]
    #: The number of entries of an offset table that does not match the frames. It is 0 if the tables match, or if the
    #: pixel data have no end delimiter.
    ignored_offsets: int = 0

    def read(self, stream: ElementStream, index: int) -> bytes:
        """Return the bytes of frame `index`. Raises Truncated if the source ends before or inside it."""
        if index >= len(self.each):
            raise Truncated(f"{named('PixelData')} contains no frame {index}, counted from 0.")
        return b"".join(_read(stream, fragment) for fragment in self.each[index])

    def head(self, stream: ElementStream, index: int, length: int) -> bytes:
        """Return at most `length` bytes of the first fragment of frame `index`."""
        first = self.each[index][0]
        stream.seek(first.offset)
        return stream.read(max(0, min(first.length, length, stream.size - first.offset)))


def find_frames(stream: ElementStream, header: Header, layout: SampleLayout, pixels: PixelElement) -> FragmentedFrames:
    """Return the frames of an encapsulated object.

    Raises TagInvalid if the object has more frames than NumberOfFrames says, or if its pixels are not in fragments.
    Raises Truncated if the object has fewer frames although its pixel data have an end delimiter. If the delimiter is
    missing, the frames that are present can be read.
    """
    stream.seek(pixels.offset)
    table, start = _basic_offsets(stream)
    fragments, is_complete = _walk(stream, layout)
    tables = [found for found in (table, _extended_offsets(header)) if found]
    each = _grouped(fragments, layout, tables[0] if tables else ())
    if is_complete and len(each) < layout.frames:
        raise Truncated(_detail(layout, len(each)))
    if len(each) > layout.frames:
        raise TagInvalid(_detail(layout, len(each)))
    offsets = [frame[0].offset - 8 - start for frame in each]
    wrong = max((len(found) for found in tables if list(found) != offsets), default=0)
    return FragmentedFrames(each, wrong if is_complete else 0)


def _detail(layout: SampleLayout, found: int) -> str:
    return f"{named('NumberOfFrames')} is {layout.frames}, but {named('PixelData')} contains {found} frames."


def _basic_offsets(stream: ElementStream) -> tuple[tuple[int, ...], int]:
    """Return the basic offset table, and the offset of the first fragment's item in the source."""
    tag, length = _item(stream)
    if tag != _ITEM:
        raise TagInvalid(f"{named('PixelData')} is not in fragments, although its transfer syntax is compressed.")
    start = stream.tell() + length
    content = stream.read(min(length, stream.size - stream.tell()))
    count = len(content) // 4
    stream.seek(start)
    return struct.unpack(f"<{count}L", content[: 4 * count]), start


def _extended_offsets(header: Header) -> tuple[int, ...]:
    content = octets(header.dataset, "ExtendedOffsetTable") or b""
    count = len(content) // 8
    return struct.unpack(f"<{count}Q", content[: 8 * count])


def _walk(stream: ElementStream, layout: SampleLayout) -> tuple[list[Fragment], bool]:
    """Return all fragments that are not empty, and whether an end delimiter follows them."""
    found: list[Fragment] = []
    while stream.size - stream.tell() >= 8:
        tag, length = _item(stream)
        if tag == _END:
            return found, True
        if tag != _ITEM:
            raise TagInvalid(f"{named('PixelData')} contains something other than fragments.")
        offset = stream.tell()
        head = stream.read(min(length, _HEAD, stream.size - offset))
        if length:
            found.append(Fragment(offset, length, _begins(head, layout)))
        stream.seek(min(offset + length, stream.size))
    return found, False


def _item(stream: ElementStream) -> tuple[int, int]:
    head = stream.read(8)
    if len(head) < 8:
        raise Truncated(f"{named('PixelData')} ends too early.")
    tag, length = struct.unpack("<2L", head)
    return tag, length


def _begins(head: bytes, layout: SampleLayout) -> bool:
    if layout.transfer_syntax == RLELossless:
        return looks_like_rle(head, layout)
    return head.startswith(_STARTS)


def _grouped(fragments: list[Fragment], layout: SampleLayout, offsets: Sequence[int]) -> list[list[Fragment]]:
    """Return the fragments of each frame.

    A frame begins with a fragment in which a codestream begins, and ends before the next fragment in which one begins.
    There are two exceptions. If the offset table lists every fragment, and there are as many fragments as frames, each
    fragment is one frame. If no codestream begins in any fragment, NumberOfFrames decides: if it is 1, all fragments
    belong to the one frame. Otherwise, each fragment is one frame. Decoding then shows whether this is right.
    """
    begins = [number for number, fragment in enumerate(fragments) if fragment.begins]
    if not begins and layout.frames == 1 and fragments:
        return [fragments]
    first = fragments[0].offset if fragments else 0
    listed = list(offsets) == [fragment.offset - first for fragment in fragments]
    if not begins or (listed and len(fragments) == layout.frames):
        return [[fragment] for fragment in fragments]
    ends = [*begins[1:], len(fragments)]
    return [fragments[start:end] for start, end in zip(begins, ends, strict=True)]


def _read(stream: ElementStream, fragment: Fragment) -> bytes:
    if fragment.offset + fragment.length > stream.size:
        raise Truncated(f"{named('PixelData')} ends inside a frame.")
    stream.seek(fragment.offset)
    return stream.read(fragment.length)
