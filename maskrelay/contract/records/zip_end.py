"""The search for the central directory of a zip archive.

The last bytes of an archive contain the end record, which states where the directory is. If the fields of the end
record are too small for the archive, the last bytes also contain the locator of a zip64 end record. Source: PKWARE's
APPNOTE 6.3.10, sections 4.3.14 to 4.3.16.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from maskrelay.errors import ArchiveInvalid

#: A function `read(offset, length)` that returns `length` bytes of the archive, or fewer at the end of the archive.
Read = Callable[[int, int], bytes]

_END = struct.Struct("<4s4H2LH")
_LOCATOR_64 = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
#: The size of an end record with the longest possible comment and of a zip64 locator before it.
_TAIL_BYTES = _LOCATOR_64.size + _END.size + 0xFFFF
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Directory:
    """The location of the central directory: the `length` bytes that begin at `offset` in the archive."""

    offset: int
    length: int
    #: The number of members that the directory describes.
    entries: int


def find_directory(read: Read, size: int) -> Directory:
    """Return the location of the directory in an archive of `size` bytes. `read` is called once or twice.

    Raises ArchiveInvalid if the directory cannot be found, or if the archive is split over several disks.
    """
    start = max(0, size - _TAIL_BYTES)
    tail = read(start, size - start)
    at = _end_record(tail)
    _, disk, first_disk, here, entries, length, offset, _ = _END.unpack_from(tail, at)
    end = start + at
    if _FULL_16 in (disk, first_disk, here, entries) or _FULL_32 in (length, offset):
        locator = tail[max(0, at - _LOCATOR_64.size) : at]
        if locator.startswith(b"PK\x06\x07"):
            return _directory_64(read, locator, end - _LOCATOR_64.size)
    if disk or first_disk or here != entries:
        raise ArchiveInvalid("The archive is split over several disks.")
    if offset + length > end:
        raise ArchiveInvalid("The archive's directory is not inside the archive.")
    return Directory(offset, length, entries)


def _end_record(tail: bytes) -> int:
    """Return the offset of the end record: the last record whose comment ends where the archive ends (4.3.16)."""
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if at + _END.size <= len(tail) and at + _END.size + _END.unpack_from(tail, at)[-1] == len(tail):
            return at
        at = tail.rfind(b"PK\x05\x06", 0, at)
    raise ArchiveInvalid("The archive has no end record: it is incomplete or damaged.")


def _directory_64(read: Read, locator: bytes, end: int) -> Directory:
    _, disk, at, disks = _LOCATOR_64.unpack(locator)
    record = read(at, _END_64.size) if at + _END_64.size <= end else b""
    if len(record) < _END_64.size or not record.startswith(b"PK\x06\x06"):
        raise ArchiveInvalid("The archive has no zip64 end record.")
    _, _, _, _, this_disk, first_disk, here, entries, length, offset = _END_64.unpack(record)
    if disk or disks > 1 or this_disk or first_disk or here != entries:
        raise ArchiveInvalid("The archive is split over several disks.")
    if offset + length > at:
        raise ArchiveInvalid("The archive's directory is not inside the archive.")
    return Directory(offset, length, entries)
