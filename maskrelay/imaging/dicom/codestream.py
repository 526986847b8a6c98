"""What a compressed frame says of itself: looked at before a codec sets aside memory for it, or fills in what is cut.

Sources: ITU-T T.81 B.2.2 (JPEG frame header), T.87 C.2.2 (JPEG-LS has the same), T.800 A.5.1 (JPEG 2000 SIZ).
"""

from pydicom.uid import JPEG2000TransferSyntaxes, RLELossless

from maskrelay.errors import TagInvalid, Truncated
from maskrelay.imaging.dicom.layout import Layout
from maskrelay.imaging.dicom.tags import named

_START_2000 = b"\xff\x4f\xff\x51"  # SOC, SIZ
_END = b"\xff\xd9"  # the same of all of them
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}  # SOF0 … SOF15, SOF55
_PADDING = 16


def checked_codestream(frame: bytes, layout: Layout) -> bytes:
    """The frame's code stream alone: some objects hold JPEG 2000 with the boxes of a JP2 file around it.

    pydicom walks along these boxes, and for ever where one says it has no length. Raises TagInvalid where the frame's
    size is not the object's, Truncated where it has no end or no beginning.
    """
    if layout.transfer_syntax == RLELossless:
        return frame
    if layout.transfer_syntax in JPEG2000TransferSyntaxes:
        frame = frame[max(0, frame.find(_START_2000)) :]
        _check(frame, layout, *_size_2000(frame))
    else:
        _check(frame, layout, *_size_jpeg(frame))
    return frame


def _check(frame: bytes, layout: Layout, columns: int, rows: int, samples: int) -> None:
    if (columns, rows) != (layout.columns, layout.rows):
        tags = f"{named('Columns')} and {named('Rows')}"
        raise TagInvalid(f"{tags} are {layout.columns} and {layout.rows}, and the frame's own {columns} and {rows}.")
    if samples != layout.samples:
        raise TagInvalid(f"{named('SamplesPerPixel')} is {layout.samples}, and the frame's own {samples}.")
    if _END not in frame[-_PADDING:]:
        raise Truncated("A frame ends before its end marker.")


def _size_2000(frame: bytes) -> tuple[int, int, int]:
    """(columns, rows, samples) of a JPEG 2000 code stream."""
    if not frame.startswith(_START_2000) or len(frame) < 42:
        raise Truncated("A frame does not begin as JPEG 2000.")
    right, bottom, left, top = (int.from_bytes(frame[at : at + 4], "big") for at in (8, 12, 16, 20))
    return right - left, bottom - top, int.from_bytes(frame[40:42], "big")


def _size_jpeg(frame: bytes) -> tuple[int, int, int]:
    """(columns, rows, samples) of a JPEG or JPEG-LS frame."""
    place = 2
    while frame[:2] == b"\xff\xd8" and place + 10 <= len(frame) and frame[place] == 0xFF:
        marker, length = frame[place + 1], int.from_bytes(frame[place + 2 : place + 4], "big")
        if marker in _FRAMES:
            rows, columns = (int.from_bytes(frame[place + at : place + at + 2], "big") for at in (5, 7))
            return columns, rows, frame[place + 9]
        place += 1 if marker == 0xFF else 2 + length  # markers may be filled up with 0xFF
    raise Truncated("A frame does not begin as JPEG.")
