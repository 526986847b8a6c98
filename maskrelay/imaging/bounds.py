"""Limits that bound the time for decoding an image file. They are checked before a decoder opens the file.

Without them, a few bytes could make a decoder work for minutes. Sources: ITU-T T.81 annex B (JPEG markers); the PNG
specification, third edition, §5.3 (chunks).
"""

import re

from maskrelay.errors import UnsupportedImage

#: The largest number of scans in a JPEG. A progressive JPEG has about ten. libtiff has the same limit.
MOST_SCANS = 100
#: The largest number of pixels in all scans together. Each scan covers the whole image, so an image of a hundred
#: megapixels may have 25 scans.
MOST_SCANNED = 2_500_000_000
#: The largest number of segments before the first scan of a JPEG. A colour profile has a segment for every 64 KB.
MOST_SEGMENTS = 10_000
#: The largest number of chunks in a PNG. Most programs write chunks of 8 KB or more.
MOST_CHUNKS = 100_000

_SCAN = b"\xff\xda"
#: A pattern for the marker that ends the data of a scan. Inside the data, 0xFF is followed by 0x00, by a restart
#: marker, or by another 0xFF as a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_END = 0xD9


def check_segments(file: bytes) -> None:
    """Raise UnsupportedImage if a JPEG has more than MOST_SEGMENTS segments or fill bytes before its first scan."""
    if len(file) < 2 * MOST_SEGMENTS:
        return
    at = 2
    for _ in range(MOST_SEGMENTS + 1):
        if at + 4 > len(file) or file[at] != 0xFF or file[at + 1] == _SCAN[1]:
            return
        at = _behind(file, at)
    raise UnsupportedImage(f"The JPEG has more than {MOST_SEGMENTS} segments before its first scan.")


def check_scans(file: bytes, pixels: int) -> None:
    """Raise UnsupportedImage if a JPEG has too many scans for this number of pixels."""
    most = max(1, min(MOST_SCANS, MOST_SCANNED // max(1, pixels)))
    if file.count(_SCAN) <= most:  # never too low, as it includes markers in previews and after the image
        return
    at, scans = 2, 0
    while found := _MARKER.search(file, at):
        marker = file[found.start() + 1]
        if marker == _END:
            return
        scans += marker == _SCAN[1]
        if scans > most:
            raise UnsupportedImage(f"The JPEG has more than {most} scans.")
        at = _behind(file, found.start())


def _behind(file: bytes, at: int) -> int:
    """Return the offset after the segment that begins with the marker at `at`."""
    marker = file[at + 1]
    if marker in (0x00, 0xFF):  # not a marker, or a fill byte before a marker
        return at + 1
    if marker in _ALONE:
        return at + 2
    return at + 2 + max(2, int.from_bytes(file[at + 2 : at + 4], "big"))


def check_chunks(file: bytes) -> None:
    """Raise UnsupportedImage if a PNG has more than MOST_CHUNKS chunks."""
    if len(file) < 12 * MOST_CHUNKS:
        return
    at = 8
    for _ in range(MOST_CHUNKS + 1):
        if at + 12 > len(file):
            return
        at += 12 + int.from_bytes(file[at : at + 4], "big")
    raise UnsupportedImage(f"The PNG has more than {MOST_CHUNKS} chunks.")
