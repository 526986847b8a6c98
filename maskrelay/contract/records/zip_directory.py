"""The reader of the directory of a zip archive. It reads a few ranges of the archive's bytes.

Nothing is decompressed, and names of members are never used as paths. Source: PKWARE's APPNOTE 6.3.10, sections 4.3
(records), 4.4 (fields) and 4.5.3 (zip64). The number of a member is its position in the central directory, counted from
1. Errors contain the numbers of members but never their names.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from maskrelay.contract.records.source_frames import Extent
from maskrelay.contract.records.zip_end import Directory, Read, find_directory
from maskrelay.errors import ArchiveInvalid, ArchiveTooLarge

_LOCAL = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
#: The directory is read into memory as a whole. Its size is limited to the first number, plus the second number for
#: each permitted entry. This is enough for names and fields of ordinary length.
_DIRECTORY_BYTES = (64 << 10, 512)

_STORED, _DEFLATED = 0, 8
#: The flags for encryption, strong encryption and masked headers.
_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_UTF_8 = 1 << 11
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF

#: The greatest compression ratio that is accepted. Deflate can reach a ratio of about 1,000. The ratio of images is far
#: below 200.
_RATIO = 200
#: The ratio is checked only for members with more than this number of bytes after decompression.
_RATIO_FROM = 1 << 20
_SEPARATORS = re.compile(r"[/\\]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive."""

    number: int
    #: The name to display, including folders. It is never used as a path.
    name: str
    #: The bytes of the name. The local header of the member must contain the same bytes.
    raw_name: bytes
    #: The offset of the member's local header.
    header: int
    #: The number of bytes that follow the local header.
    length: int
    #: The decompressed size. None if the member is stored without compression.
    inflated: int | None
    #: The offset before which the member must end.
    ends_by: int = 0
    #: The checksum of the decompressed bytes.
    crc32: int | None = None
    #: Whether the file was created by an operating system, such as `.DS_Store`.
    is_hidden: bool = False
    #: The reason why the member cannot be read. Empty if it can be read.
    refusal: str = ""

    @property
    def is_empty(self) -> bool:
        return self.length == 0 or self.inflated == 0


def list_members(read: Read, size: int, *, most_members: int, most_bytes: int, every: bool = False) -> list[Member]:
    """Return the files of an archive of `size` bytes, in the order of its directory.

    `read` is called two or three times. Folders are omitted. If `every` is false, hidden and empty files are omitted
    too. A file has a `refusal` if it is encrypted, if it is compressed with a method other than deflate, or if it is
    stored without compression but has two different sizes.

    Raises ArchiveTooLarge if there are more than `most_members` files, or if the directory is too long for this number
    of files. Also raises ArchiveTooLarge if all files together have more than `most_bytes` bytes after decompression,
    or if the compression ratio of a file is implausible. Raises ArchiveInvalid if the archive is damaged or split over
    several disks, or if members overlap.
    """
    directory = find_directory(read, size)
    fixed, each = _DIRECTORY_BYTES
    if directory.length > fixed + each * most_members:
        raise ArchiveTooLarge(f"The archive has {directory.entries} entries; at most {most_members} are accepted.")
    body = read(directory.offset, directory.length)
    members = [member for member in _entries(body, directory) if member is not None]
    if len(members) > most_members:
        raise ArchiveTooLarge(f"The archive has {len(members)} files; at most {most_members} are accepted.")
    _check_sizes(members, most_bytes)
    members = _apart(members, directory.offset)
    return members if every else [member for member in members if not member.is_hidden and not member.is_empty]


def locate(read: Read, member: Member) -> Extent:
    """Return the location of the member's bytes.

    `read` is called once, for the local header, because the length of this header varies. Raises ArchiveInvalid if the
    member has a `refusal`, if the local header does not match the directory, or if the member overlaps the data that
    follows it.
    """
    if member.refusal:
        raise _invalid(member.number, member.refusal)
    head = read(member.header, _LOCAL.size + len(member.raw_name))
    if len(head) < _LOCAL.size:
        raise _invalid(member.number, "has no header")
    signature, _, flags, method, *_, name_length, extra_length = _LOCAL.unpack_from(head)
    expected = _STORED if member.inflated is None else _DEFLATED
    name = head[_LOCAL.size :]
    if signature != b"PK\x03\x04" or flags & _ENCRYPTED or method != expected:
        raise _invalid(member.number, "has a header that does not match the directory")
    if name_length != len(member.raw_name) or name != member.raw_name:
        raise _invalid(member.number, "has a name that does not match the directory")
    offset = member.header + _LOCAL.size + name_length + extra_length
    if offset + member.length > member.ends_by:
        raise _invalid(member.number, "overlaps the data that follows it")
    return Extent(offset=offset, length=member.length, inflated=member.inflated, crc32=member.crc32)


def _entries(body: bytes, directory: Directory) -> Iterator[Member | None]:
    """Yield each entry as a member, or None for a folder."""
    at = 0
    if len(body) != directory.length:
        raise ArchiveInvalid("The archive's directory ends too early.")
    for number in range(1, directory.entries + 1):
        if at + _ENTRY.size > len(body) or body[at : at + 4] != b"PK\x01\x02":
            raise _invalid(number, "is missing from the directory")
        name_length, extra_length, comment_length = _ENTRY.unpack_from(body, at)[10:13]
        following = at + _ENTRY.size + name_length + extra_length + comment_length
        if following > len(body):
            raise _invalid(number, "has an incomplete entry in the directory")
        yield _entry(body[at:following], number)
        at = following
    if at != len(body):
        raise ArchiveInvalid("The archive's directory contains more than its entries.")


def _entry(record: bytes, number: int) -> Member | None:
    fields = _ENTRY.unpack_from(record)
    flags, method = fields[3], fields[4]
    name_ends = _ENTRY.size + fields[10]
    raw_name = record[_ENTRY.size : name_ends]
    name = _name(raw_name, flags)
    extra = record[name_ends : name_ends + fields[11]]
    size, length, header, disk = _widened(extra, (fields[9], fields[8], fields[16], fields[13]), number)
    if disk:
        raise _invalid(number, "is on another disk")
    if raw_name.endswith((b"/", b"\\")) and size == 0:
        return None
    refusal = _refusal(flags, method, size, length)
    inflated = size if method == _DEFLATED else None
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
    return Member(number, name, raw_name, header, length, inflated, crc32=fields[7], is_hidden=hidden, refusal=refusal)


def _refusal(flags: int, method: int, size: int, length: int) -> str:
    if flags & _ENCRYPTED:
        return "is encrypted"
    if method not in (_STORED, _DEFLATED):
        return "is compressed with a method other than deflate"
    return "is stored without compression but has two sizes" if method == _STORED and size != length else ""


def _name(raw: bytes, flags: int) -> str:
    """Return the name to display. It is decoded as UTF-8 if possible, otherwise as code page 437 (appendix D).

    If the entry declares UTF-8 but the name is not valid UTF-8, the invalid bytes are replaced. An archive cannot
    declare another code page, so names in other code pages are displayed with wrong letters. A
    backslash is treated as a separator of folders, because some programs write names with backslashes. Parts such as
    `..`, which would lead out of a folder in a path, are omitted.
    """
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        name = raw.decode("utf-8", "replace") if flags & _UTF_8 else raw.decode("cp437")
    plain = _CONTROL.sub("_", _DRIVE.sub("", name))
    return "/".join(part for part in _SEPARATORS.split(plain) if part not in ("", ".", ".."))


def _widened(extra: bytes, short: tuple[int, int, int, int], number: int) -> tuple[int, int, int, int]:
    """Return the decompressed size, the length, the offset of the local header and the disk of a member.

    `short` contains these values as the ordinary fields state them. A value that is the maximum of its field is
    replaced by a value of the zip64 field, which contains the replacements in this order (4.5.3).
    """
    wide = b""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            wide = extra[4 : 4 + length]
            break
        extra = extra[4 + length :]
    found = []
    for value, full, width in zip(short, (_FULL_32, _FULL_32, _FULL_32, _FULL_16), (8, 8, 8, 4), strict=True):
        if value != full:
            found.append(value)
            continue
        if len(wide) < width:
            raise _invalid(number, "has no sizes in its zip64 field")
        found.append(int.from_bytes(wide[:width], "little"))
        wide = wide[width:]
    return found[0], found[1], found[2], found[3]


def _check_sizes(members: list[Member], most_bytes: int) -> None:
    total = sum(member.length if member.inflated is None else member.inflated for member in members)
    if total > most_bytes:
        raise ArchiveTooLarge(f"The archive contains {total} bytes; at most {most_bytes} are accepted.")
    for member in members:
        size = member.inflated or 0
        if size > _RATIO_FROM and size > _RATIO * member.length:
            raise ArchiveTooLarge(f"Member {member.number} expands to more than {_RATIO} times its compressed size.")


def _apart(members: list[Member], end: int) -> list[Member]:
    """Return the members with `ends_by`, which is the offset of the next member's header or of the directory.

    Raises ArchiveInvalid if members overlap.
    """
    placed = sorted((member for member in members if not member.is_empty), key=lambda member: member.header)
    ends = dict.fromkeys((member.number for member in placed), end)
    ends |= {member.number: after.header for member, after in pairwise(placed)}
    for member in placed:
        if member.header + _LOCAL.size + len(member.raw_name) + member.length > ends[member.number]:
            raise _invalid(member.number, "overlaps the data that follows it")
    return [replace(member, ends_by=ends.get(member.number, end)) for member in members]


def _invalid(number: int, what: str) -> ArchiveInvalid:
    return ArchiveInvalid(f"Member {number} {what}.")
