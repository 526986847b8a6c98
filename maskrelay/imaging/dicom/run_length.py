"""Decoding of RLE frames to exactly the number of bytes that the header of the object requires.

Source: PS3.5 Annex G.
"""

import struct

import numpy as np
import numpy.typing as npt

from maskrelay.errors import TagInvalid, Truncated
from maskrelay.imaging.dicom.sample_layout import SampleLayout
from maskrelay.imaging.dicom.tags import named

_HEADER = 64
_PADDING = (b"\0", b"\xff", b"\x80")


def looks_like_rle(head: bytes, layout: SampleLayout) -> bool:
    """Return whether a fragment begins with the RLE header of a frame of this layout."""
    if len(head) < _HEADER:
        return False
    count, first = struct.unpack("<2L", head[:8])
    return bool(count == _segments(layout) and first == _HEADER)


def decode_rle(frame: bytes, layout: SampleLayout) -> npt.NDArray[np.unsignedinteger]:
    """Return the samples of a frame as unsigned integers of BitsAllocated bits.

    Their shape is (rows, columns) or (rows, columns, samples). Raises Truncated if a segment ends too early. Raises
    TagInvalid if the number of segments is wrong, or if a segment has more samples than Rows × Columns.
    """
    starts = _starts(frame, layout)
    planes, size = layout.rows * layout.columns, layout.allocated // 8
    out = np.empty((layout.samples, planes, size), np.uint8)
    ends = [*starts[1:], len(frame)]
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        sample, place = divmod(number, size)
        out[sample, :, size - 1 - place] = _decode_segment(frame[start:end], planes)  # the highest byte comes first
    samples = out.view(f"<u{size}")[..., 0].reshape(layout.samples, layout.rows, layout.columns)
    return samples[0] if layout.samples == 1 else np.ascontiguousarray(np.moveaxis(samples, 0, -1))


def _segments(layout: SampleLayout) -> int:
    return layout.samples * (layout.allocated // 8)


def _starts(frame: bytes, layout: SampleLayout) -> list[int]:
    if len(frame) < _HEADER:
        raise Truncated("A frame does not begin as RLE.")
    count, *offsets = struct.unpack("<16L", frame[:_HEADER])
    if count != _segments(layout):
        detail = f"{named('BitsAllocated')} and {named('SamplesPerPixel')} require {_segments(layout)} segments, but "
        error = TagInvalid if 1 <= count <= 15 and offsets[0] == _HEADER else Truncated
        raise error(f"{detail}the frame has {count if error is TagInvalid else 'no RLE header'}.")
    starts = offsets[:count]
    if starts[0] < _HEADER or starts != sorted(set(starts)) or starts[-1] >= len(frame):
        raise Truncated("The segments of a frame are not in order.")
    return starts


def _decode_segment(segment: bytes, length: int) -> npt.NDArray[np.uint8]:
    """Return the `length` decoded bytes of a segment. A segment that contains more bytes does not take more memory."""
    out = bytearray()
    place, end = 0, len(segment)
    most = length + length % 2  # some encoders pad a plane with an odd number of bytes before they encode it
    while len(out) < most and place < end and not (len(out) == length and _is_padding(segment[place:])):
        control = segment[place]
        if control < 128:
            out += segment[place + 1 : place + 2 + control]
            place += 2 + control
        elif control > 128:
            out += segment[place + 1 : place + 2] * (257 - control)
            place += 2
        else:
            place += 1
    if len(out) < length:
        raise Truncated("A segment of a frame ends too early.")
    if len(out) > most or not _is_padding(segment[place:]):
        tags = f"{named('Rows')} × {named('Columns')}"
        raise TagInvalid(f"A segment of a frame has more than {tags} = {length} samples.")
    return np.frombuffer(out, np.uint8, length)


def _is_padding(rest: bytes) -> bool:
    rest = rest.removesuffix(b"\0")  # a byte that makes an odd length even
    return any(rest == pad * len(rest) for pad in _PADDING)
