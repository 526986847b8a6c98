"""Listing zips by ranges: what the standard library writes is read alike, and what is hostile is refused by name."""

import io
import struct
import zipfile
import zlib

import pytest

from maskrelay.contract.records.source_frames import Extent
from maskrelay.contract.records.zip_directory import list_members, locate
from maskrelay.contract.records.zip_members import inflated
from maskrelay.errors import ArchiveInvalid, ArchiveTooLarge, Truncated
from tests.support.builders.zips import (
    FILES,
    MANY,
    a_zip,
    content_of,
    contents,
    listed,
    reader,
)

DIRECTORY, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


def patched(archive: bytes, signature: bytes, field: int, value: bytes, occurrence: int = 0) -> bytes:
    """`value` put `field` bytes into the record of this signature."""
    at = -1
    for _ in range(occurrence + 1):
        at = archive.index(signature, at + 1)
    at += field
    return archive[:at] + value + archive[at + len(value) :]


def test_a_streamed_archive_with_sizes_behind_its_files_is_read():
    class Unseekable(io.RawIOBase):
        def __init__(self) -> None:
            self.bytes = b""

        def writable(self) -> bool:
            return True

        def write(self, more) -> int:
            self.bytes += bytes(more)
            return len(more)

    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES:
            archive.writestr(name, content)
    assert contents(out.bytes) == list(FILES)


def test_zip64_records_are_read():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES:
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    assert contents(out.getvalue()) == list(FILES)
    assert contents(widened(a_zip(*FILES))) == list(FILES)


def widened(archive: bytes) -> bytes:
    """The same archive with every number of its first entry and of its end in the form of zip64."""
    end = archive.rindex(END)
    entries, length, offset = struct.unpack_from("<HLL", archive, end + 10)
    directory, at = bytearray(archive[offset : offset + length]), 46
    packed, size = struct.unpack_from("<LL", directory, 20)
    [name_length] = struct.unpack_from("<H", directory, 28)
    extra = struct.pack("<2H3QL", 1, 28, size, packed, 0, 0)
    directory[20:28], directory[42:46], directory[34:36] = b"\xff" * 8, b"\xff" * 4, b"\xff" * 2
    directory[30:32] = struct.pack("<H", len(extra))
    directory[at + name_length : at + name_length] = extra
    end_64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, len(directory), offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, offset + len(directory), 1)
    full = END + b"\0\0\0\0" + b"\xff" * 12 + b"\0\0"
    return archive[:offset] + bytes(directory) + end_64 + locator + full


def test_folders_hidden_files_and_empty_files_are_left_out_and_numbers_stay():
    archive = a_zip(
        ("folder/", b""),
        ("__MACOSX/._a", b"fork"),
        (".DS_Store", b"x"),
        ("a/.hidden/b", b"x"),
        ("empty", b""),
        ("./a", b"kept"),
    )
    assert [(one.number, one.name) for one in listed(archive)] == [(6, "a")]


def test_hidden_and_empty_files_are_listed_where_every_file_is_asked_for():
    archive = a_zip(
        ("folder/", b""), ("a/__MACOSX/._b", b"fork"), ("a/.hidden/b", b"x"), ("empty", b""), ("a/b", b"kept")
    )
    members = list_members(reader(archive), len(archive), **MANY, every=True)
    assert [(one.name, one.is_hidden, one.is_empty) for one in members] == [
        ("a/__MACOSX/._b", True, False),
        ("a/.hidden/b", True, False),
        ("empty", False, True),
        ("a/b", False, False),
    ]


def test_an_empty_archive_has_no_members():
    assert listed(a_zip()) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../a", "a"),
        ("a/../../b", "a/b"),
        ("/etc/a", "etc/a"),
        ("a\\b", "a/b"),
        ("C:\\a", "a"),
        ("a\nb", "a_b"),
        ("..", ""),
    ],
)
def test_a_name_is_a_label_of_which_nothing_leads_elsewhere(name, shown):
    archive = a_zip(("fine", b"x"), (name, b"y"))
    assert contents(archive) == [("fine", b"x"), (shown, b"y")]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("腹部_表示/a".encode("cp932"), None),  # 0x5C is the second byte of two
        ("功能/a".encode("big5"), None),
        ("Schädel/a".encode("cp437"), "Schädel/a"),
        ("Schädel/a".encode(), "Schädel/a"),
        (b"study\\series\\a", "study/series/a"),
    ],
)
def test_names_in_any_code_page_are_read(written, shown):
    archive = a_zip((("q" * len(written)), b"content")).replace(b"q" * len(written), written)
    [(name, content)] = contents(archive)
    assert content == b"content"
    assert name == shown or (shown is None and name.endswith("a"))


def test_a_member_of_another_checksum_is_refused():
    archive = a_zip(("a", b"x" * 100), method=zipfile.ZIP_STORED)
    damaged = archive.replace(b"x" * 100, b"x" * 99 + b"y")
    with pytest.raises(Truncated, match="checksum"):
        contents(damaged)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (8, b"\x01\x00", "encrypted"),
        (8, b"\x40\x00", "encrypted"),
        (10, b"\x0c\x00", "other than deflate"),
        (10, b"\x00\x00", "two sizes"),
    ],
)
def test_a_member_that_cannot_be_read_leaves_the_others_readable(field, value, said):
    archive = patched(a_zip(*FILES), DIRECTORY, field, value, occurrence=1)
    first, second, third = listed(archive)
    with pytest.raises(ArchiveInvalid, match=f"Member 2 .*{said}"):
        locate(reader(archive), second)
    assert [content_of(archive, one) for one in (first, third)] == [FILES[0][1], FILES[2][1]]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (34, b"\x01\x00", "another disk"),
        (20, b"\xff\xff\xff\xff", "zip64"),
        (20, b"\xff\xff\xff\x00", "overlaps"),
        (0, b"PK\x01\x03", "missing"),
        (30, b"\xff\xff", "incomplete"),
    ],
)
def test_a_member_that_cannot_be_read_is_named_by_its_number(field, value, said):
    archive = patched(a_zip(*FILES), DIRECTORY, field, value, occurrence=1)
    with pytest.raises(ArchiveInvalid, match=f"Member 2 .*{said}"):
        listed(archive)


@pytest.mark.parametrize(
    ("field", "value"),
    [(0, b"PK\x05\x07"), (4, b"\x01\x00"), (8, b"\x09\x00"), (16, b"\xff\xff\xff\x00"), (20, b"\x05")],
)
def test_a_damaged_end_is_refused(field, value):
    with pytest.raises(ArchiveInvalid):
        listed(patched(a_zip(*FILES), END, field, value))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (0, b"PK\x03\x05", "header"),
        (6, b"\x01\x00", "header"),
        (8, b"\x00\x00", "header"),
        (26, b"\x02\x00", "name"),
        (30, b"z", "name"),
        (28, b"\xff\xff", "overlaps"),
    ],
)
def test_a_local_header_that_disagrees_with_the_directory_is_refused(field, value, said):
    archive = patched(a_zip(*FILES), LOCAL, field, value)
    members = listed(archive)
    with pytest.raises(ArchiveInvalid, match=f"Member 1 .*{said}"):
        locate(reader(archive), members[0])
    assert content_of(archive, members[1]) == FILES[1][1]


def test_two_members_over_the_same_bytes_are_refused():
    archive = a_zip(("a", b"x" * 100), ("b", b"x" * 100))
    second = archive.index(DIRECTORY, archive.index(DIRECTORY) + 1)
    with pytest.raises(ArchiveInvalid, match="overlaps"):
        listed(archive[: second + 42] + bytes(4) + archive[second + 46 :])


def test_a_member_over_the_directory_is_refused():
    archive = a_zip(("a", b"x" * 100), method=zipfile.ZIP_STORED)
    sizes = struct.pack("<LL", 140, 140)
    with pytest.raises(ArchiveInvalid, match="overlaps"):
        listed(patched(archive, DIRECTORY, 20, sizes))


def test_a_bomb_is_refused_before_anything_is_inflated():
    with pytest.raises(ArchiveTooLarge, match="Member 1 expands"):
        listed(a_zip(("zeros", bytes(2 << 20))))
    assert len(listed(a_zip(("zeros", bytes(1 << 20))))) == 1


def test_more_than_may_be_opened_is_refused_with_the_limit():
    archive = a_zip(*((str(number), b"x" * 100) for number in range(11)))
    assert len(listed(archive, most_members=11, most_bytes=1100)) == 11
    with pytest.raises(ArchiveTooLarge, match="11 files; at most 10"):
        listed(archive, most_members=10)
    with pytest.raises(ArchiveTooLarge, match="1100 bytes; at most 1099"):
        listed(archive, most_bytes=1099)


def test_a_directory_out_of_proportion_is_not_even_read():
    archive = a_zip(*((f"{number:0500d}", b"x") for number in range(200)))
    asked = []

    def read(offset: int, length: int) -> bytes:
        asked.append(length)
        return archive[offset : offset + length]

    with pytest.raises(ArchiveTooLarge):
        list_members(read, len(archive), most_members=3, most_bytes=1 << 30)
    assert asked == [min(len(archive), 65577)]


def deflated(content: bytes) -> tuple[bytes, Extent]:
    raw = zlib.compress(content, wbits=-zlib.MAX_WBITS)
    return raw, Extent(offset=0, length=len(raw), inflated=len(content))


def test_pieces_stay_small_however_much_comes_in_at_once():
    raw, extent = deflated(b"abcd" * 1_000_000)
    pieces = list(inflated([raw], extent))
    assert b"".join(pieces) == b"abcd" * 1_000_000
    assert max(map(len, pieces)) <= 256 << 10


@pytest.mark.parametrize("change", [-1, 1])
def test_a_length_other_than_declared_is_an_error(change):
    raw, extent = deflated(b"some bytes" * 50)
    lying = extent.model_copy(update={"inflated": 500 + change})
    with pytest.raises(Truncated, match="declared"):
        list(inflated([raw], lying))
    stored = Extent(offset=0, length=500 + change)
    with pytest.raises(Truncated, match="declared"):
        list(inflated([bytes(250), bytes(250)], stored))


def test_a_member_that_inflates_without_end_stops_at_what_was_declared():
    raw, extent = deflated(bytes(200 << 10) * 200)
    lying = extent.model_copy(update={"inflated": 1000})
    with pytest.raises(Truncated, match="longer"):
        list(inflated([raw], lying))


def test_bytes_before_and_behind_the_end_of_the_stream_are_counted():
    raw, extent = deflated(b"some bytes" * 50)
    for chunks, said in (([raw[:-3]], "too early"), ([raw, b"more"], "after its end"), ([b"\xff" + raw], "damaged")):
        with pytest.raises(Truncated, match=said):
            list(inflated(chunks, extent))
