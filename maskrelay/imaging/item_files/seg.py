"""Write an item's masks as one DICOM SEG, streamed because neither its frames nor their groups fit in memory.

highdicom supplies the standard's vocabulary (segments, codes, algorithm). Its own `Segmentation` is not used: it holds
every mask as one byte a pixel, and accepts neither clips without a frame of reference nor sources that lack a type 2
tag.
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
from maskrelay.imaging.item_files import MaskOf
from maskrelay.imaging.item_files.seg_groups import SegmentFrameGroups
from maskrelay.imaging.item_files.seg_header import (
    Making,
    Segment,
    derived_uid,
    file_meta,
    seg_header,
)
from maskrelay.imaging.item_files.seg_sources import HeaderOf, quiet, source_frames

_PER_FRAME = struct.pack("<HH2s2xL", 0x5200, 0x9230, b"SQ", 0xFFFFFFFF)  # of undefined length
_PER_FRAME_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
_MOST_BYTES = 0xFFFFFFFE  # of pixel data: its length is even and written in 32 bits


def write_seg(
    out: BinaryIO,
    frames: Sequence[tuple[int, int]],
    header_of: HeaderOf,
    segments: Sequence[Segment],
    mask_of: MaskOf,
    making: Making,
) -> None:
    """Write a BINARY segmentation of an item: segment = prompt, Explicit VR Little Endian.

    frames: for each of the item's frames, the number of its source object and its frame in there (from 0). header_of:
    returns that object's header; called in the order of frames. mask_of: returns (rows, columns) bool. A mask without
    foreground has no frame; an object without any has one empty frame, because the standard requires one. Positions are
    the source's, character for character, and are left out if it has none or no frame of reference; every frame names
    the source frame it was derived from. Masks are requested segment by segment. Raises ArtifactUnsupported for a
    source of which no segmentation can be made.
    """
    sources = source_frames(frames, header_of)
    with tempfile.TemporaryFile() as bits:
        held = _spool(bits, sources[0].size, len(segments), len(frames), mask_of)
        length = bits.tell()
        if length > _MOST_BYTES:
            raise ArtifactUnsupported("The segmentation has more pixels than one DICOM object can hold.")
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
    """Pack every mask that has foreground, one bit a pixel, lowest first, frames without gaps (PS3.5, 8.1.1).

    Returns the (segment, frame) of each frame written.
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
                raise ArtifactUnsupported(f"A mask has the shape {mask.shape} where the source has {size}.")
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
    """Write the per-frame groups item by item: in the file, only the pixels follow them."""
    out.write(_PER_FRAME)
    for segment, frame in held:
        item = DicomBytesIO()
        item.is_little_endian, item.is_implicit_VR = True, False
        write_sequence_item(item, groups.of_frame(frame, segment), ["utf8"])
        out.write(item.getvalue())
    out.write(_PER_FRAME_END)
