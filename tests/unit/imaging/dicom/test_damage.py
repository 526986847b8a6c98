"""Broken and hostile objects: each has a code, and its detail names the tag."""

import io
import re
import struct
import threading
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

import maskrelay.imaging.dicom.header
import maskrelay.imaging.dicom.stream
from maskrelay.errors import (
    DirectoryFile,
    ItemError,
    NoPixels,
    NotAnImage,
    SourceTooLarge,
    TagInvalid,
    TooManyPixels,
    Truncated,
    ZeroSized,
)
from maskrelay.imaging.dicom import open_planes, read_facts
from maskrelay.imaging.dicom.damage import named_damage, quiet
from tests.support.builders.dicoms import (
    dataset_of,
    dicom_of,
    item,
    replaced,
    saved,
    with_pixels,
)

LIMIT = 1_000_000
PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4)
GEOMETRY = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}


def both(file: bytes) -> list[ItemError]:
    """What reading the facts and reading the pixels are refused with."""
    refusals = []
    for read in (read_facts, lambda source: open_planes(source, max_pixels=LIMIT).plane(0)):
        with pytest.raises(ItemError) as refusal:
            read(file)
        refusals.append(refusal.value)
    return refusals


@pytest.mark.parametrize(
    ("file", "error"),
    [
        (b"", ZeroSized),
        (b"hello", NotAnImage),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), NotAnImage),
        (bytes(4000), NotAnImage),
        (bytes(128) + b"DICM", Truncated),
        (bytes(128) + b"DICM" + b"\xff" * 400, ItemError),
    ],
)
def test_what_is_not_dicom_is_refused_by_name(file, error):
    assert all(isinstance(refusal, error) for refusal in both(file))


REQUIRED = [
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
]


@pytest.mark.parametrize("keyword", REQUIRED)
def test_a_missing_tag_is_named(keyword):
    for refusal in both(dicom_of(PIXELS, **{keyword: None})):
        assert type(refusal) is TagInvalid
        assert re.fullmatch(rf"\(0028,\d{{4}}\) {keyword} is missing\.", refusal.detail)


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({"BitsAllocated": 12}, "BitsAllocated"),
        ({"BitsAllocated": 24}, "BitsAllocated"),
        ({"BitsAllocated": 0}, "BitsAllocated"),
        ({"BitsStored": 17}, "BitsStored"),
        ({"BitsStored": 0}, "BitsStored"),
        ({"HighBit": 16}, "HighBit"),
        ({"HighBit": 3}, "HighBit"),
        ({"PixelRepresentation": 2}, "PixelRepresentation"),
        ({"SamplesPerPixel": 3}, "SamplesPerPixel"),
        ({"SamplesPerPixel": 2}, "SamplesPerPixel"),
        ({"NumberOfFrames": -4}, "NumberOfFrames"),
        ({"Rows": [3, 4]}, "Rows"),
    ],
)
def test_a_value_that_cannot_be_is_named(tags, named):
    for refusal in both(dicom_of(PIXELS, **tags)):
        assert type(refusal) is TagInvalid
        assert named in refusal.detail


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
@pytest.mark.parametrize("value", [b"nan ", b"1e99", b"1e999", b"a\\b ", b"0   "])
def test_a_rescale_that_is_no_number_is_named(keyword, value):
    tags = {"RescaleSlope": "1111", "RescaleIntercept": "2222", keyword: "3333"}
    file = dicom_of(PIXELS, **tags).replace(b"3333", value[:4].ljust(4))
    if value == b"1e99" or (keyword, value) == ("RescaleIntercept", b"0   "):
        assert np.isfinite(open_planes(file, max_pixels=LIMIT).plane(0).values).all()
        return
    if value == b"1e999":
        file = dicom_of(PIXELS, **tags).replace(b"DS\x04\x003333", b"DS\x06\x001e999 ")
    with pytest.raises(TagInvalid, match=keyword):
        open_planes(file, max_pixels=LIMIT).plane(0)


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({"ImagePositionPatient": [0, 0]}, "ImagePositionPatient"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "ImageOrientationPatient"),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 1, 0]}, "ImageOrientationPatient"),
        ({"PixelSpacing": [1]}, "PixelSpacing"),
        ({"PerFrameFunctionalGroupsSequence": [item()] * 3}, "PerFrameFunctionalGroupsSequence"),
    ],
)
def test_a_broken_geometry_is_named(tags, named):
    with pytest.raises(TagInvalid, match=named):
        read_facts(dicom_of(PIXELS, **{**GEOMETRY, **tags}))


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "SOPInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"])
def test_a_uid_that_is_a_name_is_refused_without_saying_it(keyword):
    file = dicom_of(PIXELS, **{keyword: "1.2.3.987654321"}).replace(b"1.2.3.987654321", b"Doe^Jane       ")
    with pytest.raises(TagInvalid, match=keyword) as refusal:
        read_facts(file)
    assert "Jane" not in refusal.value.detail


@pytest.mark.parametrize("side", ["Rows", "Columns"])
def test_an_object_without_rows_or_columns_is_zero_sized(side):
    assert all(type(refusal) is ZeroSized for refusal in both(dicom_of(PIXELS, **{side: 0})))


def test_an_object_without_pixels_says_its_class():
    for refusal in both(saved(dataset_of(PIXELS))):
        assert type(refusal) is NoPixels
        assert "(7FE0,0010)" in refusal.detail
        assert "1.2.840.10008.5.1.4.1.1.2" in refusal.detail


def test_a_directory_is_refused_as_such():
    directory = dataset_of(PIXELS, DirectoryRecordSequence=[item(DirectoryRecordType="PATIENT")])
    assert all(type(refusal) is DirectoryFile for refusal in both(with_pixels(directory, PIXELS.tobytes())))


@pytest.mark.parametrize("kept", [-1, -2, -24])
def test_pixels_that_are_cut_off_are_named(kept):
    for refusal in both(dicom_of(PIXELS)[:kept]):
        assert type(refusal) is Truncated
        assert "PixelData" in refusal.detail


def test_a_header_cut_anywhere_is_refused():
    file = dicom_of(PIXELS, **GEOMETRY)
    for kept in range(132, len(file) - 24, 7):
        both(file[:kept])


def test_a_header_that_ends_inside_a_value_is_truncated():
    file = dicom_of(PIXELS)
    inside = file.index(b"MONOCHROME2") + 4
    assert all(type(refusal) is Truncated for refusal in both(file[:inside]))


def test_more_frames_than_there_are_bytes_for_are_refused_by_the_header():
    file = dicom_of(PIXELS, NumberOfFrames=2_000_000_000)
    assert all(type(refusal) is Truncated for refusal in both(file))


def test_huge_dimensions_are_refused_with_the_numbers():
    dataset = dataset_of(PIXELS, Rows=60_000, Columns=60_000)
    file = with_pixels(dataset, b"\0\0")
    declared = file.replace(b"OB\0\0" + struct.pack("<I", 2), b"OB\0\0" + struct.pack("<I", 0xFFFFFFF0))
    assert all(type(refusal) is Truncated for refusal in both(declared))


def test_more_pixels_than_are_taken_are_refused_with_the_numbers():
    with pytest.raises(TooManyPixels) as refusal:
        open_planes(dicom_of(PIXELS), max_pixels=11).plane(0)
    assert "4 × 3 = 12 pixels; at most 11 are" in refusal.value.detail
    assert open_planes(dicom_of(PIXELS), max_pixels=12).plane(0).values.size == 12


def test_a_side_too_long_for_the_canvas_is_refused():
    with pytest.raises(TooManyPixels, match="32767"):
        open_planes(dicom_of(np.zeros((1, 40_000), np.uint8)), max_pixels=LIMIT).plane(0)


def deflated(rest: bytes) -> bytes:
    head = dicom_of(PIXELS, DeflatedExplicitVRLittleEndian)
    end = head.index(b"1.2.840.10008.1.2.1.99") + 22
    meta_length = struct.unpack("<I", head[140:144])[0]
    assert end <= 144 + meta_length
    return head[: 144 + meta_length] + rest


def test_a_deflated_bomb_is_refused_before_it_is_whole(monkeypatch):
    monkeypatch.setattr(maskrelay.imaging.dicom.header, "_INFLATED", 1 << 20)
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(bytes(4 << 20)) + packer.flush()
    assert all(type(refusal) is SourceTooLarge for refusal in both(deflated(bomb)))


def test_a_deflated_object_is_inflated_as_far_as_its_frames_need():
    whole = dicom_of(PIXELS, ExplicitVRLittleEndian)
    content = whole[whole.index(b"\x08\0\x16\0UI") :] + bytes(200 << 20)  # 200 MB of zeros behind the pixels
    packer = zlib.compressobj(9, wbits=-15)
    file = deflated(packer.compress(content) + packer.flush())
    tracemalloc.start()
    try:
        assert np.array_equal(open_planes(file, max_pixels=LIMIT).plane(0).values, PIXELS)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("tags", [{"NumberOfFrames": None}, {"NumberOfFrames": 2}, {"Rows": 1}, {"Columns": 2}])
def test_pixels_of_a_frame_more_than_the_header_says_are_refused(syntax, tags):
    for refusal in both(dicom_of(np.stack([PIXELS] * 3), syntax, **tags)):
        assert type(refusal) is TagInvalid
        assert "NumberOfFrames" in refusal.detail


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 3)])
def test_the_padding_of_an_odd_length_is_no_frame(shape):
    pixels = np.ones(shape, np.uint8)
    assert np.array_equal(open_planes(dicom_of(pixels), max_pixels=LIMIT).plane(0).values, pixels)


def test_a_deflated_object_that_is_cut_is_truncated():
    whole = dicom_of(PIXELS, DeflatedExplicitVRLittleEndian)
    assert all(type(refusal) is Truncated for refusal in both(whole[:-40]))
    assert all(isinstance(refusal, Truncated) for refusal in both(deflated(b"\xff" * 50)))


EMPTY_ITEM = b"\xfe\xff\x00\xe0\0\0\0\0"


@pytest.mark.parametrize("defined", [True, False])
def test_a_sequence_of_millions_of_items_is_refused_before_they_are_made(defined, monkeypatch):
    monkeypatch.setattr(maskrelay.imaging.dicom.stream, "_READS", 20_000)
    count = 300_000
    body = EMPTY_ITEM * count
    length = len(body) if defined else 0xFFFFFFFF
    sequence = b"\x00\x52\x29\x92SQ\0\0" + struct.pack("<I", length) + body  # (5200,9229)
    end = b"" if defined else b"\xfe\xff\xdd\xe0\0\0\0\0"
    file = dicom_of(PIXELS)
    place = file.index(b"\xe0\x7f\x10\0")
    both(file[:place] + sequence + end + file[place:])


def test_a_nest_of_a_thousand_sequences_is_refused():
    nest = b"\x00\x52\x29\x92SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    file = dicom_of(PIXELS)
    place = file.index(b"\xe0\x7f\x10\0")
    both(file[:place] + nest + file[place:])


def test_a_value_that_says_it_is_four_gigabytes_is_not_set_aside_for(tmp_path):
    file = dicom_of(PIXELS, ImageComments="x")
    place = file.index(b"\x20\0\x00\x40")  # (0020,4000)
    lying = file[:place] + b"\x00\x52\x29\x92SQ\0\0\xfe\xff\xff\xff" + file[place:]
    path = tmp_path / "lying"
    path.write_bytes(lying)
    for source in (lying, path):
        assert all(type(refusal) is Truncated for refusal in both(source))


def test_a_table_with_fewer_entries_than_it_says_is_named():
    table = item(LUTDescriptor=[100, 0, 16], ModalityLUTType="US")
    table.add_new("LUTData", "OW", b"\1\0\2\0")
    with pytest.raises(TagInvalid, match="LUTData"):
        open_planes(dicom_of(PIXELS, ModalityLUTSequence=[table]), max_pixels=LIMIT).plane(0)


def test_a_table_without_a_descriptor_is_named():
    with pytest.raises(TagInvalid, match="LUTDescriptor"):
        open_planes(dicom_of(PIXELS, ModalityLUTSequence=[item(ModalityLUTType="US")]), max_pixels=LIMIT).plane(0)


def test_memory_that_runs_out_is_an_error_of_the_item(monkeypatch):
    def exhausted(_file: bytes) -> io.BytesIO:
        raise MemoryError

    monkeypatch.setattr(maskrelay.imaging.dicom.stream, "BytesIO", exhausted)
    assert all(type(refusal) is TooManyPixels for refusal in both(dicom_of(PIXELS)))


def test_pixels_named_to_be_somewhere_else_are_not_looked_for():
    file = dicom_of(PIXELS)
    wrong = replaced(file, (0x0028, 0x0010), struct.pack("<H", 3000))
    assert all(type(refusal) is Truncated for refusal in both(wrong))


def test_warnings_are_as_before_when_threads_that_suppress_them_end_in_any_order():
    """One thread makes a segmentation, while another decodes."""
    before, inside, may_end = list(warnings.filters), threading.Event(), threading.Event()

    def decode() -> None:
        with named_damage():
            inside.set()
            may_end.wait(20)

    thread = threading.Thread(target=decode)
    with quiet():
        thread.start()
        assert inside.wait(20)
    assert warnings.filters != before
    may_end.set()
    thread.join()
    assert warnings.filters == before
