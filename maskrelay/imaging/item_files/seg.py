"""The masks of an item as one DICOM SEG object.

The object is written frame by frame, because all its frames and their functional groups may not fit in memory.
highdicom supplies the vocabulary of the standard, such as segments and codes. Its class `Segmentation` is not used,
because it holds every mask in memory with one byte per pixel. It also refuses clips without a frame of reference, and
sources without a tag of type 2.
"""

import shutil
import struct
import tempfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import IO, BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_sequence_item

from maskrelay.errors import ArtifactUnsupported
from maskrelay.imaging.dicom.damage import quiet
from maskrelay.imaging.item_files import MaskOf
from maskrelay.imaging.item_files.seg_groups import SegmentFrameGroups
from maskrelay.imaging.item_files.seg_header import (
    Making,
    Segment,
    derived_uid,
    file_meta,
    seg_header,
)
from maskrelay.imaging.item_files.seg_sources import HeaderOf, source_frames

_PER_FRAME = struct.pack("<HH2s2xL", 0x5200, 0x9230, b"SQ", 0xFFFFFFFF)  # a sequence of undefined length
_PER_FRAME_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
_MOST_BYTES = 0xFFFFFFFE  # the largest even length of pixel data that fits in 32 bits


def write_seg(
    out: BinaryIO,
    frames: Sequence[tuple[int, int]],
    header_of: HeaderOf,
    segments: Sequence[Segment],
    mask_of: MaskOf,
    making: Making,
) -> None:
    """Write the BINARY segmentation of an item in Explicit VR Little Endian, with one segment for each prompt.

    `frames` contains, for each frame of the item, the number of its source object and the number of the frame within
    that object, counted from 0. `header_of` returns the header of a source object. It is called in the order of the
    frames, and once more for the first frame. `mask_of` returns a (rows, columns) bool mask, and is called segment by
    segment.

    A mask without foreground has no frame in the segmentation. If all masks are empty, the segmentation has one empty
    frame, because the standard requires one. Positions are copied from the source character by character, if they are
    not too long for DICOM. They are left out if the source has no positions or no frame of reference. Every frame
    refers to its source frame. Raises ArtifactUnsupported if no segmentation can be made from the source.
    """
    sources = source_frames(frames, header_of)
    with tempfile.TemporaryFile() as bits:
        held = _spool(bits, sources[0].size, len(segments), len(frames), mask_of)
        length = bits.tell()
        if length > _MOST_BYTES:
            raise ArtifactUnsupported("The segmentation has more pixels than one DICOM object can contain.")
        with quiet():
            header = seg_header(header_of(frames[0][0]), sources, segments, making)
            groups = SegmentFrameGroups(sources, "FrameOfReferenceUID" in header)
            _write_header(out, header, groups, len(held), making)
            _write_groups(out, groups, held)
        out.write(struct.pack("<HH2s2xL", 0x7FE0, 0x0010, b"OB", length))
        bits.seek(0)
        shutil.copyfileobj(bits, out, 1 << 20)


def _spool(
    bits: IO[bytes], size: tuple[int, int], segments: int, frames: int, mask_of: MaskOf
) -> list[tuple[int, int]]:
    """Write every mask that has foreground to the file `bits`. Return the segment and the frame of each.

    If no mask has foreground, one empty mask is written.

    Each pixel is one bit. The lowest bit of a byte is its first pixel, and there are no gaps between frames (PS3.5,
    8.1.1).
    """
    held: list[tuple[int, int]] = []
    rest = np.zeros(0, np.bool_)
    for segment, frame, mask in _with_foreground(size, segments, frames, mask_of):
        held.append((segment, frame))
        pixels = np.concatenate((rest, mask.ravel()))
        whole = pixels.size - pixels.size % 8
        bits.write(np.packbits(pixels[:whole], bitorder="little").tobytes())
        rest = pixels[whole:]
    bits.write(np.packbits(rest, bitorder="little").tobytes())
    bits.write(bytes(bits.tell() % 2))
    return held


def _with_foreground(
    size: tuple[int, int], segments: int, frames: int, mask_of: MaskOf
) -> Iterator[tuple[int, int, npt.NDArray[np.bool_]]]:
    nothing = True
    for segment in range(segments):
        for frame in range(frames):
            mask = mask_of(frame, segment)
            if mask.shape != size:
                raise ArtifactUnsupported(f"A mask has the shape {mask.shape}, but the source has {size}.")
            if mask.any():
                nothing = False
                yield segment, frame, mask
    if nothing:
        yield 0, 0, np.zeros(size, np.bool_)


def _write_header(out: BinaryIO, header: Dataset, groups: SegmentFrameGroups, count: int, making: Making) -> None:
    organization = derived_uid(making.fingerprint, "dimensions")
    item = Dataset()
    item.DimensionOrganizationUID = organization
    header.DimensionOrganizationSequence = [item]
    header.DimensionIndexSequence = groups.dimensions(organization)
    header.NumberOfFrames = count
    header.SharedFunctionalGroupsSequence = [groups.shared()]
    header.file_meta = file_meta(header)
    written = BytesIO()
    dcmwrite(written, header, enforce_file_format=True)
    out.write(written.getvalue())


def _write_groups(out: BinaryIO, groups: SegmentFrameGroups, held: Sequence[tuple[int, int]]) -> None:
    """Write the functional groups of each frame, one by one. In the file, only the pixels follow them."""
    out.write(_PER_FRAME)
    for segment, frame in held:
        item = DicomBytesIO()
        item.is_little_endian, item.is_implicit_VR = True, False
        write_sequence_item(item, groups.of_frame(frame, segment), ["utf8"])
        out.write(item.getvalue())
    out.write(_PER_FRAME_END)
