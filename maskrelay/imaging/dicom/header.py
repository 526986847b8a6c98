"""Reading of a DICOM file up to its pixel data."""

import math
import zlib
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)
from pydicom.values import converters

from maskrelay.errors import DirectoryFile, ItemError, NotAnImage, SourceTooLarge, Truncated, ZeroSized
from maskrelay.imaging.dicom.allowed_tags import WANTED
from maskrelay.imaging.dicom.stream import ElementStream, Source, opened
from maskrelay.imaging.dicom.tags import number, uid

_PREAMBLE = 128
_MAGIC = b"DICM"
_META = 0x0002
_PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_UNDEFINED = 0xFFFFFFFF
_INFLATED = 1 << 28  # the limit for the decompressed bytes of a deflated object
_FIRST_INFLATED = 1 << 16  # the bytes that are decompressed first; each further try takes four times as many


@dataclass(frozen=True)
class PixelElement:
    """The element that contains the pixels."""

    keyword: str
    vr: str
    #: The offset of the pixels in the source.
    offset: int
    #: The length that the element declares. None if it is undefined.
    length: int | None
    #: The number of bytes that are present in the source.
    available: int


@dataclass(frozen=True, eq=False)
class Header:
    """The tags that were read from an object, and the location of its pixels."""

    dataset: Dataset
    transfer_syntax: UID | None
    little_endian: bool
    pixels: PixelElement | None
    #: The file, or its decompressed content, in which `pixels` is located.
    source: Source


def looks_like_dicom(head: bytes) -> bool:
    """Return whether a file that begins with these bytes may be DICOM. Pass at least 132 bytes.

    A DICOM file has a magic number after its preamble. A DICOM object without a preamble begins with an element of
    group 2 or 8.
    """
    if head[_PREAMBLE : _PREAMBLE + 4] == _MAGIC:
        return True
    if len(head) < 8:
        return False
    if head[:2] in (b"\2\0", b"\x08\0"):
        return head[4:6].decode("latin-1") in converters or head[6:8] == b"\0\0"
    return head[:2] == b"\0\x08" and head[4:6].decode("latin-1") in converters


def read_header(source: Source) -> Header:
    """Read the allowed tags of `source`: bytes, or the path of a file.

    Raises ZeroSized if the file is empty, NotAnImage if it is not DICOM, DirectoryFile if it is a DICOMDIR, TagInvalid
    if a tag cannot be read, SourceTooLarge if a deflated object is too large, and Truncated if the file ends within
    an element before the pixels.
    """
    with opened(source) as stream:
        if not stream.size:
            raise ZeroSized("The file is empty.")
        if not looks_like_dicom(stream.read(_PREAMBLE + 4)):
            raise NotAnImage
        meta = _read_meta(stream)
        if str(uid(meta, "MediaStorageSOPClassUID")) == MediaStorageDirectoryStorage:
            raise DirectoryFile
        syntax = uid(meta, "TransferSyntaxUID")
        if syntax == DeflatedExplicitVRLittleEndian:
            return _read_deflated(_Inflating(stream.read()), meta, syntax)
        return _read_rest(stream, source, meta, syntax)


def _read_meta(stream: ElementStream) -> Dataset:
    """Return the file meta group, or an empty Dataset if there is none.

    This group is always encoded in explicit VR little endian.
    """
    stream.seek(_PREAMBLE)
    if stream.read(4) != _MAGIC:
        stream.seek(0)
    return read_dataset(
        stream,  # type: ignore[arg-type]  # only read, seek and tell are used
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: tag >> 16 != _META,
    )


class _Inflating:
    """A deflated object (PS3.5 A.5). Only the beginning that is needed is decompressed."""

    def __init__(self, deflated: bytes) -> None:
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._rest = deflated
        self._content = b""
        self.is_whole = False

    def first(self, length: int) -> bytes:
        """Return at least the first `length` bytes, or all bytes if there are fewer.

        Raises SourceTooLarge if `length` is more than _INFLATED.
        """
        if length > _INFLATED:
            raise SourceTooLarge(f"The deflated object contains more than {_INFLATED} bytes.")
        missing = length - len(self._content)
        if missing > 0 and not self.is_whole:
            self._content += self._inflater.decompress(self._rest, missing)
            self._rest = self._inflater.unconsumed_tail
            self.is_whole = self._inflater.eof or len(self._content) < length
        return self._content


def _read_deflated(inflating: _Inflating, meta: Dataset, syntax: str) -> Header:
    """Decompress a deflated object up to the end of its last frame."""
    length = _FIRST_INFLATED
    while True:
        content = inflating.first(length)
        try:
            header = _rest_of(content, meta, syntax)
        except ItemError:
            if inflating.is_whole:
                raise
        except Exception:
            if inflating.is_whole:
                raise
        else:
            if header.pixels is not None:
                wanted = min(header.pixels.length or _INFLATED, _needed(header.dataset))
                return _rest_of(inflating.first(header.pixels.offset + wanted), meta, syntax)
            if inflating.is_whole:
                return header
        length *= 4


def _rest_of(content: bytes, meta: Dataset, syntax: str) -> Header:
    with opened(content) as stream:
        return _read_rest(stream, content, meta, syntax)


def _needed(dataset: Dataset) -> int:
    """Return the number of bytes of all frames according to the header.

    Return 0 if tags are missing. In this case, `read_layout` refuses the object later.
    """
    keywords = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
    rows, columns, samples, allocated = (number(dataset, keyword) or 0 for keyword in keywords)
    frames = number(dataset, "NumberOfFrames") or 1
    return math.ceil(max(0.0, rows * columns * samples * allocated * max(1.0, frames) / 8))


def _read_rest(stream: ElementStream, source: Source, meta: Dataset, syntax: str) -> Header:
    implicit, little = _encoding(stream, syntax)
    found: list[PixelElement] = []

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag not in _PIXELS:
            return False
        offset = stream.tell()
        room = max(0, stream.size - offset)
        declared = None if length == _UNDEFINED else length
        available = room if declared is None else min(room, declared)
        found.append(PixelElement(_PIXELS[tag], vr or "OW", offset, declared, available))
        return True

    dataset = read_dataset(
        stream,  # type: ignore[arg-type]
        is_implicit_VR=implicit,
        is_little_endian=little,
        stop_when=at_pixels,
        specific_tags=list(WANTED),
    )
    _check(dataset, meta, stream, found)
    encoding = syntax or ("" if found and found[0].length is None else _guessed(implicit, little))
    return Header(dataset, UID(encoding) if encoding else None, little, found[0] if found else None, source)


def _check(dataset: Dataset, meta: Dataset, stream: ElementStream, found: list[PixelElement]) -> None:
    if "DirectoryRecordSequence" in dataset:
        raise DirectoryFile
    if not found and stream.overrun:
        raise Truncated("The object ends before its pixels.")
    if not dataset and not meta:
        raise NotAnImage
    if not uid(dataset, "SOPClassUID") and "MediaStorageSOPClassUID" in meta:
        dataset.SOPClassUID = uid(meta, "MediaStorageSOPClassUID")


def _encoding(stream: ElementStream, syntax: str) -> tuple[bool, bool]:
    """Return whether the elements have implicit VRs, and whether they are little endian.

    If the transfer syntax is not declared, the first element decides.
    """
    if syntax:
        return syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    start = stream.tell()
    first = stream.read(8)
    stream.seek(start)
    explicit = first[4:6].decode("latin-1") in converters
    return not explicit, not (explicit and first[:1] == b"\0")


def _guessed(implicit: bool, little: bool) -> str:
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian
