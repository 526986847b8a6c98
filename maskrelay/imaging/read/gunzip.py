"""Decompression of a gzip stream, such as a .nii.gz file, piece by piece and up to a limit."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from isal import isal_zlib
from isal.igzip_lib import IsalError

from maskrelay.errors import ArchiveTooLarge, SourceTooLarge, Truncated

_GZIP = 31  # zlib's `wbits` for data with a gzip header and checksum
_PIECE = 1 << 20
_SLICE = 1 << 16
#: The largest number of members in a gzip stream. Blocked gzip (bgzip) has a member for every 64 KiB, so this many
#: members contain 4 GiB. A file with more members is probably an attack with many empty members.
MOST_MEMBERS = 1 << 16


def inflate(chunks: Iterable[bytes], out: BinaryIO, *, most_bytes: int) -> int:
    """Write the decompressed content of the gzip stream `chunks` to `out`, and return the number of bytes.

    The members of the stream are decompressed one after another. Raises Truncated if the stream is damaged, ends early
    or is not gzip. Raises SourceTooLarge if the content has more than `most_bytes` bytes. At most `most_bytes` bytes
    are written. Raises ArchiveTooLarge if there are more than MOST_MEMBERS members.
    """
    written = 0
    for piece in unpack(chunks):
        written += len(piece)
        if written > most_bytes:
            raise SourceTooLarge(f"The file expands to more than {most_bytes} bytes.")
        out.write(piece)
    return written


def unpack(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the decompressed content of the gzip stream `chunks`, in pieces of at most 1 MiB.

    There is no limit on the number of bytes. Zeros after a member are padding and are ignored. Raises Truncated and
    ArchiveTooLarge in the same cases as `inflate`.
    """
    unpacker, between, members = isal_zlib.decompressobj(_GZIP), True, 0
    for slice_ in _sliced(chunks):
        rest = slice_
        while rest:
            if between and members:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
            between = False
            try:
                piece = unpacker.decompress(rest, _PIECE)
                yield piece
                while len(piece) == _PIECE and not unpacker.eof:  # the decompressor may have more output for the input
                    piece = unpacker.decompress(unpacker.unconsumed_tail, _PIECE)
                    yield piece
            except IsalError:  # type: ignore[misc]  # its stub has no base class
                raise Truncated("The gzip is damaged.") from None
            rest = unpacker.unused_data
            if unpacker.eof:
                unpacker, between, members = isal_zlib.decompressobj(_GZIP), True, members + 1
                if members > MOST_MEMBERS:
                    raise ArchiveTooLarge(f"The gzip has more than {MOST_MEMBERS} members.")
    if not (between and members):
        raise Truncated("The gzip ends early.")


def _sliced(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes in small slices. After every member, the rest of a slice is copied, so a slice must be small."""
    for chunk in chunks:
        for start in range(0, len(chunk), _SLICE):
            yield chunk[start : start + _SLICE]
