"""List the members of a zip from a few ranges of its bytes. Nothing is unpacked, and no name is ever used as a path.

Source: PKWARE's APPNOTE 6.3.10, sections 4.3 (records), 4.4 (fields) and 4.5.3 (zip64). A member's number, from 1, is
its place in the central directory; errors give numbers, never names.
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
#: The directory is read at once: a base size, and bytes per entry for names and fields of ordinary length.
_DIRECTORY_BYTES = (64 << 10, 512)

_STORED, _DEFLATED = 0, 8
#: Flags: encrypted, strongly encrypted, headers masked.
_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_UTF_8 = 1 << 11
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF

#: The greatest compression ratio. Deflate's maximum is about 1,000; images stay far below a fifth of it.
_RATIO = 200
_RATIO_FROM = 1 << 20
_SEPARATORS = re.compile(r"[/\\]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive."""

    number: int
    #: A label to show, with folders; never a path.
    name: str
    #: As its header repeats it.
    raw_name: bytes
    #: The offset of its local header; `length` bytes follow it and end by `ends_by`.
    header: int
    length: int
    #: Its decompressed size, None if it is stored without compression.
    inflated: int | None
    ends_by: int = 0
    #: The checksum of its decompressed bytes.
    crc32: int | None = None
    #: An operating system's own file.
    is_hidden: bool = False
    #: Why it cannot be read; empty if it can.
    refusal: str = ""

    @property
    def is_empty(self) -> bool:
        return self.length == 0 or self.inflated == 0


def list_members(read: Read, size: int, *, most_members: int, most_bytes: int, every: bool = False) -> list[Member]:
    """Return the files of an archive of `size` bytes, in the directory's order; two or three calls of `read`.

    Folders are left out, and so are hidden and empty files unless `every` is set. Raises ArchiveTooLarge for more than
    `most_members` files, for more than `most_bytes` once decompressed, and for a file with an implausible compression
    ratio; ArchiveInvalid for an archive that is damaged, split over disks or has overlapping members. A file that is
    encrypted, or compressed by another method than deflate, has a `refusal`.
    """
    directory = find_directory(read, size)
    fixed, each = _DIRECTORY_BYTES
    if directory.length > fixed + each * most_members:
        raise ArchiveTooLarge(f"The archive has {directory.entries} entries; at most {most_members} files are taken.")
    body = read(directory.offset, directory.length)
    members = [member for member in _entries(body, directory) if member is not None]
    if len(members) > most_members:
        raise ArchiveTooLarge(f"The archive has {len(members)} files; at most {most_members} are taken.")
    _check_sizes(members, most_bytes)
    members = _apart(members, directory.offset)
    return members if every else [one for one in members if not one.is_hidden and not one.is_empty]


def locate(read: Read, member: Member) -> Extent:
    """Return the location of the member's bytes; one call of `read`, for the local header with its variable length.

    Raises ArchiveInvalid if the header is not this member's, if its bytes would overlap what follows, or if it cannot
    be read.
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
        raise _invalid(member.number, "has another header than the directory says")
    if name_length != len(member.raw_name) or name != member.raw_name:
        raise _invalid(member.number, "has another name than the directory says")
    offset = member.header + _LOCAL.size + name_length + extra_length
    if offset + member.length > member.ends_by:
        raise _invalid(member.number, "overlaps what comes after it")
    return Extent(offset=offset, length=member.length, inflated=member.inflated, crc32=member.crc32)


def _entries(body: bytes, directory: Directory) -> Iterator[Member | None]:
    """Each entry as a member, or None if it is a folder."""
    at = 0
    if len(body) != directory.length:
        raise ArchiveInvalid("The archive's directory is cut short.")
    for number in range(1, directory.entries + 1):
        if at + _ENTRY.size > len(body) or body[at : at + 4] != b"PK\x01\x02":
            raise _invalid(number, "is missing from the directory")
        name_length, extra_length, comment_length = _ENTRY.unpack_from(body, at)[10:13]
        following = at + _ENTRY.size + name_length + extra_length + comment_length
        if following > len(body):
            raise _invalid(number, "is cut short in the directory")
        yield _entry(body[at:following], number)
        at = following
    if at != len(body):
        raise ArchiveInvalid("The archive's directory holds more than its entries.")


def _entry(record: bytes, number: int) -> Member | None:
    fields = _ENTRY.unpack_from(record)
    flags, method = fields[3], fields[4]
    name_ends = _ENTRY.size + fields[10]
    raw_name = record[_ENTRY.size : name_ends]
    name = _name(raw_name, flags)
    extra = record[name_ends : name_ends + fields[11]]
    size, length, header, disk = _widened(extra, (fields[9], fields[8], fields[16], fields[13]), number)
    if disk:
        raise _invalid(number, "lies on another disk")
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
        return "is packed in another way than stored or deflated"
    return "is stored and has two sizes" if method == _STORED and size != length else ""


def _name(raw: bytes, flags: int) -> str:
    """A label to show: UTF-8 if it is valid, else code page 437 (appendix D).

    Writers in other code pages do not declare them, so their names come out with other letters; some write a backslash
    between folders. Whatever could lead elsewhere, were it a path, is left out.
    """
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        name = raw.decode("utf-8", "replace") if flags & _UTF_8 else raw.decode("cp437")
    plain = _CONTROL.sub("_", _DRIVE.sub("", name))
    return "/".join(part for part in _SEPARATORS.split(plain) if part not in ("", ".", ".."))


def _widened(extra: bytes, short: tuple[int, int, int, int], number: int) -> tuple[int, int, int, int]:
    """(decompressed size, length, header, disk): maximum values come from the zip64 field, in this order (4.5.3)."""
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
            raise _invalid(number, "lacks its sizes in the form of zip64")
        found.append(int.from_bytes(wide[:width], "little"))
        wide = wide[width:]
    return found[0], found[1], found[2], found[3]


def _check_sizes(members: list[Member], most_bytes: int) -> None:
    total = sum(member.length if member.inflated is None else member.inflated for member in members)
    if total > most_bytes:
        raise ArchiveTooLarge(f"The archive holds {total} bytes; at most {most_bytes} are taken.")
    for member in members:
        size = member.inflated or 0
        if size > _RATIO_FROM and size > _RATIO * member.length:
            raise ArchiveTooLarge(f"Member {member.number} inflates to more than {_RATIO} times its length.")


def _apart(members: list[Member], end: int) -> list[Member]:
    """The members, each with where it must end: the next one's header, or the directory. Raises ArchiveInvalid."""
    placed = sorted((one for one in members if not one.is_empty), key=lambda member: member.header)
    ends = dict.fromkeys((member.number for member in placed), end)
    ends |= {member.number: after.header for member, after in pairwise(placed)}
    for member in placed:
        if member.header + _LOCAL.size + len(member.raw_name) + member.length > ends[member.number]:
            raise _invalid(member.number, "overlaps what comes after it")
    return [replace(member, ends_by=ends.get(member.number, end)) for member in members]


def _invalid(number: int, what: str) -> ArchiveInvalid:
    return ArchiveInvalid(f"Member {number} {what}.")
