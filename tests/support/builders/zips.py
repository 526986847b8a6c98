"""Zip archives as the standard library writes them, and what is read of them by ranges."""

import io
import zipfile

from maskrelay.contract.records.zip_directory import Member, list_members, locate
from maskrelay.contract.records.zip_members import inflated

MANY = {"most_members": 1000, "most_bytes": 1 << 30}
FILES = (("a/slice 1", b"one" * 1000), ("b", bytes(range(256)) * 40), ("ü.dcm", b"x"))


def a_zip(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.comment = comment
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def reader(archive: bytes):
    return lambda offset, length: archive[offset : offset + length]


def listed(archive: bytes, **limits: int) -> list[Member]:
    return list_members(reader(archive), len(archive), **(MANY | limits))


def content_of(archive: bytes, member: Member, piece: int = 1000) -> bytes:
    extent = locate(reader(archive), member)
    raw = archive[extent.offset : extent.offset + extent.length]
    return b"".join(inflated((raw[at : at + piece] for at in range(0, len(raw), piece)), extent))


def contents(archive: bytes) -> list[tuple[str, bytes]]:
    return [(member.name, content_of(archive, member)) for member in listed(archive)]
