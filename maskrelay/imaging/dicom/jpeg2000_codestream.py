"""The headers of JPEG 2000 and HTJ2K codestreams. Source: ITU-T T.800 A.4–A.6 (SIZ, COD, SOT)."""

from maskrelay.errors import Truncated, UnsupportedImage
from maskrelay.imaging.dicom.codestream import Codestream

START = b"\xff\x4f\xff\x51"  # SOC, SIZ
END = b"\xff\xd9"
_SOT, _COD = b"\xff\x90", 0x52
_PADDING = 16


def read_jpeg_2000(frame: bytes) -> Codestream:
    """Parse the main header. The bytes after it are not needed.

    Raises Truncated if the header is incomplete, and UnsupportedImage if the components are not all of the same kind.
    """
    if not frame.startswith(START) or len(frame) < 45:
        raise Truncated("A frame does not begin as JPEG 2000.")
    right, bottom, left, top = (int.from_bytes(frame[at : at + 4], "big") for at in (8, 12, 16, 20))
    samples = int.from_bytes(frame[40:42], "big")
    depths = set(frame[42 : 42 + 3 * samples : 3])
    if len(depths) != 1:
        raise UnsupportedImage("The components of a JPEG 2000 frame differ in their number of bits or their sign.")
    depth = depths.pop()
    return Codestream(
        family="jpeg-2000",
        columns=right - left,
        rows=bottom - top,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        transformed=_is_transformed(frame),
    )


def _is_transformed(frame: bytes) -> bool:
    """Return whether the first COD segment declares a multiple component transform."""
    place = 2
    while place + 4 <= len(frame) and frame[place] == 0xFF and frame[place : place + 2] != _SOT:
        if frame[place + 1] == _COD:
            return frame[place + 8 : place + 9] == b"\1"
        place += 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
    return False


def whole_jpeg_2000(frame: bytes) -> bytes:
    """Return the codestream up to its end marker. If only the end marker is missing, it is added.

    The lengths of the tile-parts determine the end of the data. If the last length is 0 or the lengths are wrong, the
    last end marker determines it. Raises Truncated if data are missing.
    """
    place = frame.find(_SOT, 2)
    tiles: dict[int, set[int]] = {}
    counts: dict[int, int] = {}
    while frame[place : place + 2] == _SOT and place + 12 <= len(frame):
        tile, length = (
            int.from_bytes(frame[place + 4 : place + 6], "big"),
            int.from_bytes(frame[place + 6 : place + 10], "big"),
        )
        tiles.setdefault(tile, set()).add(frame[place + 10])
        if frame[place + 11]:
            counts[tile] = frame[place + 11]
        if length == 0:  # the last tile-part extends to the end marker
            return frame[: _last_end(frame, place)]
        if length < 12 or place + length > len(frame):
            raise Truncated("A frame ends inside a tile-part.")
        place += length
    if place < 0 or len(tiles) < _tiles(frame) or any(len(tiles[tile]) < count for tile, count in counts.items()):
        raise Truncated("A frame ends before its last tile-part.")
    rest = frame[place:]
    if rest.startswith(END):
        return frame[: place + 2]
    if not rest.strip(b"\0\xff"):
        if rest and frame[:place].endswith((rest[:1] * 4, b"\xff")):  # the padding begins inside the tile-part
            raise Truncated("A frame ends inside a tile-part.")
        return frame[:place] + END
    return frame[: _last_end(frame, place)]  # some programs write wrong lengths


def _last_end(frame: bytes, start: int) -> int:
    found = frame.rfind(END, start)
    if found < 0 or frame[found + 2 :].strip(b"\0\xff")[_PADDING:]:
        raise Truncated("A frame ends before its end marker.")
    return found + 2


def _tiles(frame: bytes) -> int:
    right, bottom, _, _, wide, high, left, top = (int.from_bytes(frame[at : at + 4], "big") for at in range(8, 40, 4))
    if not wide or not high:
        raise Truncated("The tiles of a frame have no size.")
    return -(-(right - left) // wide) * -(-(bottom - top) // high)
