"""Compressed objects: each frame alone, whatever holds it together, and no more memory than it may need."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, encapsulate_extended, get_frame
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from maskrelay.errors import TagInvalid, Truncated, UnsupportedImage, UnsupportedTransferSyntax
from maskrelay.imaging.dicom import open_planes, read_facts
from tests.support.builders.dicoms import (
    compressed,
    dataset_of,
    dicom_of,
    saved,
    with_pixels,
)
from tests.support.builders.pictures import gradient_array

LIMIT = 1_000_000
LOSSLESS = [RLELossless, JPEG2000Lossless, JPEGLSLossless]
FRAMES = np.random.default_rng(5).integers(0, 4096, (4, 41, 37)).astype(np.uint16)


def encoded(frames: np.ndarray, syntax: str, **tags: object) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(dicom_of(frames, **tags)))
    dataset.compress(syntax, generate_instance_uid=False)
    return saved(dataset, syntax)


def codestream(frames: np.ndarray, syntax: str, index: int = 0) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(encoded(frames, syntax)))
    return get_frame(dataset.PixelData, index, number_of_frames=dataset.get("NumberOfFrames", 1))


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16"])
def test_every_frame_of_a_lossless_object_is_what_was_put_in(syntax, kind):
    frames = (FRAMES - 2000).astype(kind) if kind == "int16" else FRAMES.astype(kind)
    planes = open_planes(encoded(frames, syntax), max_pixels=LIMIT)
    for index in range(4):
        assert np.array_equal(planes.plane(index).values, frames[index])
    assert planes.plane(0).values.dtype == kind


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("stored", [12, 10])
def test_signed_samples_keep_their_sign_when_bits_are_unused(syntax, stored):
    frames = (FRAMES[:1].astype(np.int16) % (1 << stored)) - (1 << stored - 1)
    file = encoded(frames, syntax, BitsStored=stored, HighBit=stored - 1)
    assert np.array_equal(open_planes(file, max_pixels=LIMIT).plane(0).values, frames[0])


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_colour_is_what_was_put_in(syntax):
    colour = gradient_array(41, 37)
    assert np.array_equal(open_planes(encoded(colour, syntax), max_pixels=LIMIT).plane(0).values, colour)


def jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL"])
def test_a_jpeg_of_colours_is_close_to_what_was_put_in(photometric):
    colour = np.repeat(np.repeat(gradient_array(6, 5), 16, axis=0), 16, axis=1)
    file = compressed(colour, [jpeg(colour)], JPEGBaseline8Bit, PhotometricInterpretation=photometric)
    assert np.abs(open_planes(file, max_pixels=LIMIT).plane(0).values.astype(int) - colour).mean() < 4


@pytest.mark.parametrize("form", ["no-table", "basic-table", "extended-table", "fragments"])
def test_frames_are_found_however_the_object_lists_them(form):
    streams = [codestream(FRAMES, JPEG2000Lossless, index) for index in range(4)]
    dataset = dataset_of(FRAMES)
    if form == "extended-table":
        content, offsets, lengths = encapsulate_extended(streams)
        dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets, lengths
    else:
        content = encapsulate(streams, fragments_per_frame=2 if form == "fragments" else 1, has_bot=form != "no-table")
    dataset.add_new("PixelData", "OB", content)
    dataset["PixelData"].is_undefined_length = True
    planes = open_planes(saved(dataset, JPEG2000Lossless), max_pixels=LIMIT)
    for index in (2, 0, 3, 1):
        assert np.array_equal(planes.plane(index).values, FRAMES[index])


def test_a_complete_object_with_fewer_frames_inside_than_it_says_is_truncated():
    stream = codestream(FRAMES, JPEG2000Lossless)
    file = compressed(FRAMES, [stream] * 2, JPEG2000Lossless)
    for read in (read_facts, lambda source: open_planes(source, max_pixels=LIMIT)):
        with pytest.raises(Truncated, match=r"NumberOfFrames is 4, but .* contains 2 frames"):
            read(file)


def test_an_object_that_is_cut_between_frames_has_the_frames_before_it():
    streams = [codestream(FRAMES, JPEG2000Lossless, index) for index in range(4)]
    file = compressed(FRAMES, streams, JPEG2000Lossless)
    planes = open_planes(file[: file.rindex(b"\xfe\xff\x00\xe0")], max_pixels=LIMIT)
    assert all(np.array_equal(planes.plane(index).values, FRAMES[index]) for index in range(3))
    with pytest.raises(Truncated, match="PixelData"):
        planes.plane(3)


CODECS = [
    (RLELossless, "MR_small_RLE.dcm"),
    (JPEG2000Lossless, "MR_small_jp2klossless.dcm"),
    (JPEG2000, "693_J2KI.dcm"),
    (JPEGLSLossless, "MR_small_jpeg_ls_lossless.dcm"),
    (JPEGBaseline8Bit, "SC_rgb_jpeg_dcmtk.dcm"),
    ("1.2.840.10008.1.2.4.51", "JPGExtended.dcm"),
    ("1.2.840.10008.1.2.4.70", "SC_rgb_jpeg_gdcm.dcm"),
]


@pytest.mark.parametrize(("syntax", "name"), CODECS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_frame_that_ends_too_early_is_refused_and_not_filled_in(syntax, name, share):
    path = get_testdata_file(name, download=False)
    dataset = pydicom.dcmread(path)
    assert dataset.file_meta.TransferSyntaxUID == syntax
    stream = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([stream[: int(len(stream) * share)]])
    with pytest.raises(Truncated):
        open_planes(saved(dataset, syntax), max_pixels=LIMIT).plane(0)


@pytest.mark.parametrize(("syntax", "name"), CODECS)
def test_a_file_that_ends_inside_its_frame_is_truncated(syntax, name):
    file = Path(get_testdata_file(name, download=False)).read_bytes()
    with pytest.raises(Truncated):
        open_planes(file[:-200], max_pixels=LIMIT).plane(0)


def test_a_jpeg_larger_than_its_object_says_is_refused_before_it_is_decoded():
    stream = bytearray(jpeg(np.zeros((8, 8), np.uint8)))
    place = stream.index(b"\xff\xc0") + 5
    stream[place : place + 4] = b"\xff\xff\xff\xff"
    file = compressed(np.zeros((8, 8), np.uint8), [bytes(stream)], JPEGBaseline8Bit)
    with pytest.raises(TagInvalid, match=r"\(0028,0010\) Rows .* 65535 and 65535"):
        open_planes(file, max_pixels=LIMIT).plane(0)


def test_a_jpeg_2000_larger_than_its_object_says_is_refused_before_it_is_decoded():
    stream = bytearray(codestream(FRAMES, JPEG2000Lossless))
    place = stream.index(b"\xff\x4f\xff\x51") + 8
    stream[place : place + 8] = b"\x7f\xff\xff\xff" * 2
    with pytest.raises(TagInvalid, match="Columns"):
        open_planes(compressed(FRAMES[0], [bytes(stream)], JPEG2000Lossless), max_pixels=LIMIT).plane(0)


def test_the_boxes_of_a_jp2_file_around_a_frame_are_not_followed():
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\0free" * 3  # a box without a length is the last of a file
    stream = boxes + codestream(FRAMES, JPEG2000Lossless)
    plane = open_planes(compressed(FRAMES[0], [stream], JPEG2000Lossless), max_pixels=LIMIT).plane(0)
    assert np.array_equal(plane.values, FRAMES[0])


def test_a_frame_of_more_samples_than_its_object_says_is_refused():
    gray = np.zeros((16, 16), np.uint8)
    file = compressed(gray, [jpeg(np.zeros((16, 16, 3), np.uint8))], JPEGBaseline8Bit)
    with pytest.raises(TagInvalid, match="SamplesPerPixel"):
        open_planes(file, max_pixels=LIMIT).plane(0)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless])
def test_a_frame_of_something_else_is_truncated(syntax):
    with pytest.raises(Truncated):
        open_planes(compressed(FRAMES[0], [b"nothing of the kind" * 9], syntax), max_pixels=LIMIT).plane(0)


@pytest.mark.parametrize("syntax", [MPEG2MPML, "1.2.840.10008.1.2.4.110", "1.2.840.113619.5.2", "1.2.3.4"])
def test_a_transfer_syntax_that_is_not_decoded_is_named(syntax):
    for read in (read_facts, lambda file: open_planes(file, max_pixels=LIMIT).plane(0)):
        with pytest.raises(UnsupportedTransferSyntax, match=syntax.replace(".", r"\.")):
            read(dicom_of(FRAMES).replace(padded(ExplicitVRLittleEndian, 20), padded(syntax, 28)))


def padded(syntax: str, length: int) -> bytes:
    """The element of the transfer syntax, filled up with zeros."""
    value = syntax.encode().ljust(length, b"\0")
    return b"\2\0\x10\0UI" + len(value).to_bytes(2, "little") + value


def test_compressed_single_bits_are_not_read_and_said_so():
    bits = np.zeros((8, 8), np.uint8)
    file = compressed(bits, [bytes(80)], RLELossless, BitsAllocated=1, BitsStored=1, HighBit=0)
    with pytest.raises(UnsupportedImage, match="BitsAllocated"):
        open_planes(file, max_pixels=LIMIT).plane(0)


def test_pixels_that_are_not_in_fragments_are_refused_by_name():
    file = with_pixels(dataset_of(FRAMES), FRAMES.tobytes(), ExplicitVRLittleEndian, "OW")
    with pytest.raises(TagInvalid, match="PixelData"):
        open_planes(file.replace(padded(ExplicitVRLittleEndian, 20), padded(RLELossless, 20)), max_pixels=LIMIT).plane(
            0
        )
