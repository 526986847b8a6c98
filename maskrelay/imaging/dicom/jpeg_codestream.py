"""The headers of JPEG and JPEG-LS codestreams. Sources: ITU-T T.81 B.1–B.2, T.87 C.2, T.872 6.5.3 (APP14)."""

import re
from collections.abc import Iterator

from maskrelay.errors import Truncated, UnsupportedImage
from maskrelay.imaging.dicom.codestream import Codestream

START = b"\xff\xd8"
END = b"\xff\xd9"
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}  # SOF0 … SOF15, SOF55
_SOF_LS, _SOS, _EOI, _APP0, _APP14 = 0xF7, 0xDA, 0xD9, 0xE0, 0xEE
_SEQUENTIAL = frozenset({0xC0, 0xC1, 0xC2})
_MOST_SCANS = 100
_RGB_IDS = (b"RGB", b"rgb")
# These patterns match a marker that ends entropy-coded data. Inside such data, a byte 0xFF is followed by a zero byte
# (JPEG) or a zero bit (JPEG-LS), or by a restart marker. Before a marker, 0xFF may be repeated.
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_AFTER_SCAN_LS = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")


def read_jpeg(frame: bytes) -> Codestream:
    """Parse the frame header and the markers that describe the colours.

    The bytes after the frame header are not needed. Raises Truncated if there is no frame header.
    """
    jfif, adobe = False, None
    for marker, place, length in _segments(frame):
        body = frame[place + 4 : place + 2 + length]
        if marker == _APP0 and body.startswith(b"JFIF"):
            jfif = True
        elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker in _FRAMES and len(body) >= 6:
            count = body[5]
            return Codestream(
                family="jpeg-ls" if marker == _SOF_LS else "jpeg",
                columns=int.from_bytes(body[3:5], "big"),
                rows=int.from_bytes(body[1:3], "big"),
                samples=count,
                precision=body[0],
                rgb_ids=bytes(body[6 : 6 + 3 * count : 3]) in _RGB_IDS,
                jfif=jfif,
                adobe=adobe,
                sequential=marker in _SEQUENTIAL and body[0] == 8,
            )
    raise Truncated("A frame does not begin as JPEG.")


def jpeg_end(frame: bytes) -> int | None:
    """Return the offset after the end marker, or None if the marker is missing but every component has a scan.

    Raises Truncated if the data end before the scan of the last component. Raises UnsupportedImage if there are too
    many scans, because each scan is decoded for the whole image.
    """
    after_scan, components, scanned, scans = _AFTER_SCAN, 0, set[int](), 0
    for marker, place, length in _segments(frame):
        if marker == _EOI:
            return place + 2
        if marker in _FRAMES:
            components = frame[place + 9]
            after_scan = _AFTER_SCAN_LS if marker == _SOF_LS else _AFTER_SCAN
        if marker == _SOS:
            scans += 1
            if scans > _MOST_SCANS:
                raise UnsupportedImage(f"A frame has more than {_MOST_SCANS} scans.")
            scanned |= set(frame[place + 5 : place + 5 + 2 * frame[place + 4] : 2])
            if after_scan.search(frame, place + 2 + length) is None:
                break
    if not scanned or len(scanned) < components:
        raise Truncated("A frame ends before its last scan.")
    return None


def _segments(frame: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each marker, its offset, and the length of its segment. Entropy-coded data are skipped."""
    place, after_scan = 2, _AFTER_SCAN
    if not frame.startswith(START):
        return
    while place + 2 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xFF:  # fill bytes of this value may precede a marker
            place += 1
            continue
        if marker == _EOI:
            yield marker, place, 0
            return
        length = int.from_bytes(frame[place + 2 : place + 4], "big")
        if length < 2 or place + 2 + length > len(frame):
            return
        yield marker, place, length
        place += 2 + length
        if marker == _SOF_LS:
            after_scan = _AFTER_SCAN_LS
        if marker == _SOS:
            found = after_scan.search(frame, place)
            if found is None:
                return
            place = found.start()
