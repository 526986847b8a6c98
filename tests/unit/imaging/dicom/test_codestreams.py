"""What a codestream says of itself and what the header says: layout, depth, sign, colours, and where it ends."""

import io

import jpeg_ls
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import convert_color_space

from maskrelay.errors import ItemError, TagInvalid, Truncated, UnsupportedImage
from maskrelay.imaging.dicom import open_planes, read_facts
from tests.support.builders.codestreams import (
    BASELINE,
    HTJ2K,
    HTJ2K_GRAY,
    HTJ2K_RGB,
    JPEG_2000,
    JPEG_LS,
    LOSSLESS,
    jpeg,
    jpeg_2000,
    jpeg_ls_of,
    lossless,
    two_complement,
    with_adobe,
    with_ids,
    with_jfif,
)
from tests.support.builders.dicoms import compressed

LIMIT = 1_000_000
RNG = np.random.default_rng(11)
GRAY = np.kron(RNG.integers(0, 256, (9, 11)), np.ones((4, 4))).astype(np.uint8)
RGB = np.kron(RNG.integers(0, 256, (4, 5, 3)), np.ones((8, 8, 1))).astype(np.uint8)
YBR = convert_color_space(RGB, "RGB", "YBR_FULL")
HU = (GRAY.astype(np.int16) * 8 - 1000)[:33]  # −1000 … 1040: 12 bits with their sign


def values_of(file: bytes) -> np.ndarray:
    return open_planes(file, max_pixels=LIMIT).plane(0).values


COLOURS = [
    (BASELINE, "YBR_FULL", lambda: jpeg(RGB)),
    (BASELINE, "YBR_FULL_422", lambda: jpeg(RGB)),
    (BASELINE, "RGB", lambda: jpeg(RGB, rgb=True)),
    (JPEG_LS, "RGB", lambda: jpeg_ls_of(RGB, 8)),
    (JPEG_2000, "RGB", lambda: jpeg_2000(RGB, 8)),
    (JPEG_2000, "YBR_RCT", lambda: jpeg_2000(RGB, 8, transformed=True)),
    (JPEG_2000, "YBR_FULL", lambda: jpeg_2000(YBR, 8)),
]


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize(("syntax", "photometric", "stream"), COLOURS)
def test_what_a_codec_returns_is_by_pixel_whatever_the_planar_configuration_says(syntax, photometric, stream, planar):
    tags = {"PhotometricInterpretation": photometric, "PlanarConfiguration": planar}
    found = values_of(compressed(RGB, [stream()], syntax, **tags)).astype(int)
    assert np.abs(found - RGB).mean() < (4 if syntax == BASELINE else 1)


ENCODERS = {JPEG_LS: jpeg_ls_of, JPEG_2000: jpeg_2000, LOSSLESS: lossless}


@pytest.mark.parametrize("syntax", ENCODERS)
@pytest.mark.parametrize(
    ("holding", "precision", "stored"),
    [(12, 12, 12), (13, 13, 13), (16, 16, 16), (13, 16, 13), (16, 16, 13), (13, 13, 16), (12, 13, 12)],
)
def test_a_twos_complement_in_a_codestream_without_sign_gets_its_sign_back(syntax, holding, precision, stored):
    stream = ENCODERS[syntax](two_complement(HU, holding), precision)
    tags = {"BitsStored": stored, "HighBit": stored - 1, "PixelRepresentation": 1}
    found = values_of(compressed(HU, [stream], syntax, **tags))
    assert found.dtype == np.int16
    assert np.array_equal(found, HU)


@pytest.mark.parametrize("precision", [12, 13, 16])
@pytest.mark.parametrize("stored", [12, 13, 16])
def test_a_signed_codestream_is_what_it_is_at_any_depth(precision, stored):
    tags = {"BitsStored": stored, "HighBit": stored - 1, "PixelRepresentation": 1}
    assert np.array_equal(values_of(compressed(HU, [jpeg_2000(HU, precision)], JPEG_2000, **tags)), HU)


@pytest.mark.parametrize("syntax", ENCODERS)
@pytest.mark.parametrize(("precision", "stored"), [(12, 12), (16, 12), (12, 16), (13, 12)])
def test_a_precision_that_is_not_bits_stored_changes_no_value(syntax, precision, stored):
    samples = (HU + 1000).astype(np.uint16)
    file = compressed(samples, [ENCODERS[syntax](samples, precision)], syntax, BitsStored=stored, HighBit=stored - 1)
    assert np.array_equal(values_of(file), samples)


def test_a_signed_codestream_of_an_object_without_sign_keeps_its_values():
    samples = HU + 1000
    file = compressed(samples.astype(np.uint16), [jpeg_2000(samples, 16)], JPEG_2000)
    assert np.array_equal(values_of(file), samples)


@pytest.mark.parametrize("syntax", ENCODERS)
def test_a_codestream_deeper_than_the_bits_allocated_is_read_in_full(syntax):
    samples = (HU + 1000).astype(np.uint16)
    plane = open_planes(
        compressed(samples.astype(np.uint8), [ENCODERS[syntax](samples, 12)], syntax), max_pixels=LIMIT
    ).plane(0)
    assert np.array_equal(plane.values, samples)
    assert plane.bits == 12


@pytest.mark.parametrize("syntax", ENCODERS)
def test_a_codestream_of_bytes_in_an_object_of_words_is_read(syntax):
    found = values_of(compressed(GRAY.astype(np.uint16), [ENCODERS[syntax](GRAY, 8)], syntax))
    assert np.array_equal(found, GRAY)


def test_values_beyond_bits_stored_do_not_overflow_when_they_are_rescaled():
    samples = (HU + 1000).astype(np.uint16) * 16
    tags = {"BitsStored": 12, "HighBit": 11, "RescaleSlope": 1, "RescaleIntercept": -1000}
    found = values_of(compressed(samples, [jpeg_2000(samples, 16)], JPEG_2000, **tags))
    assert np.array_equal(found, samples.astype(int) - 1000)


MARKS = [
    ("JFIF against RGB", "RGB", lambda: jpeg(RGB)),
    ("ids against YBR", "YBR_FULL", lambda: with_ids(jpeg(RGB, rgb=True), b"RGB")),
    ("ids against YBR_422", "YBR_FULL_422", lambda: with_ids(jpeg(RGB, rgb=True), b"rgb")),
    ("Adobe 0 and RGB", "RGB", lambda: with_adobe(jpeg(RGB, rgb=True), 0)),
    ("Adobe 0 and JFIF and RGB", "RGB", lambda: with_adobe(with_jfif(jpeg(RGB, rgb=True)), 0)),
    ("Adobe 1 and YBR", "YBR_FULL_422", lambda: with_adobe(jpeg(RGB), 1)),
]


@pytest.mark.parametrize(("photometric", "stream"), [mark[1:] for mark in MARKS], ids=[mark[0] for mark in MARKS])
def test_the_colour_marks_of_a_jpeg_decide(photometric, stream):
    file = compressed(RGB, [stream()], BASELINE, PhotometricInterpretation=photometric)
    assert np.abs(values_of(file).astype(int) - RGB).mean() < 4


@pytest.mark.parametrize(
    ("photometric", "syntax", "stream"),
    [
        ("YBR_FULL", BASELINE, lambda: with_adobe(jpeg(RGB, rgb=True), 0)),
        ("RGB", BASELINE, lambda: with_adobe(with_ids(jpeg(RGB, rgb=True), b"\1\2\3"), 1)),
        ("YBR_FULL", JPEG_2000, lambda: jpeg_2000(RGB, 8, transformed=True)),
    ],
)
def test_a_colour_mark_that_other_readers_overlook_is_refused_and_not_guessed(photometric, syntax, stream):
    with pytest.raises(TagInvalid, match="PhotometricInterpretation"):
        values_of(compressed(RGB, [stream()], syntax, PhotometricInterpretation=photometric))


SMOOTH = np.add.outer(np.arange(72), np.arange(88)).astype(np.uint8)
NOISY = SMOOTH + RNG.integers(0, 3, SMOOTH.shape).astype(np.uint8)
ENDS = {
    "jpeg": (BASELINE, lambda: jpeg(SMOOTH)),
    "jpeg-ls": (JPEG_LS, lambda: jpeg_ls_of(NOISY, 8)),
    "jpeg-2000": (JPEG_2000, lambda: jpeg_2000(SMOOTH, 8)),
    "lossless": (LOSSLESS, lambda: lossless(NOISY, 8)),
}


def plain(name: str, stream: bytes) -> np.ndarray:
    return values_of(compressed(SMOOTH, [stream], ENDS[name][0]))


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("behind", [b"\0" * 64, b"\xff" * 64, b"\0", b"\xff" * 3, b"\0\xff" * 700], ids=range(5))
def test_padding_behind_the_end_of_a_codestream_is_not_looked_at(name, behind):
    stream = ENDS[name][1]()
    assert np.array_equal(plain(name, stream + behind), plain(name, stream))


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("behind", [b"", b"\0", b"\0" * 64, b"\xff" * 64], ids=range(4))
def test_a_missing_end_marker_is_forgiven_where_all_data_are_there(name, behind):
    stream = ENDS[name][1]()
    assert stream.endswith(b"\xff\xd9")
    assert np.array_equal(plain(name, stream[:-2] + behind), plain(name, stream))


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("behind", [b"", b"\0" * 64, b"\xff" * 64], ids=range(3))
def test_data_that_are_cut_are_truncated_whatever_is_behind_them(name, kept, behind):
    stream = ENDS[name][1]()
    with pytest.raises(ItemError) as refusal:
        plain(name, stream[: int(len(stream) * kept)] + behind)
    assert type(refusal.value) is Truncated


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_cut_data_with_an_end_marker_put_behind_them_are_truncated(name, kept):
    stream = ENDS[name][1]()
    with pytest.raises(Truncated):
        plain(name, stream[: int(len(stream) * kept)] + b"\xff\xd9")


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_cut_frame_of_12_bits_with_an_end_marker_put_behind_it_is_truncated(kept):
    dataset = dcmread(str(get_testdata_file("JPGExtended.dcm")))
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = encapsulate([frame[: int(len(frame) * kept)] + b"\xff\xd9"])
    cut = io.BytesIO()
    dataset.save_as(cut)
    with pytest.raises(Truncated):
        values_of(cut.getvalue())


def test_jpeg_ls_with_one_component_after_the_other_is_read_by_pixel():
    planes = np.ascontiguousarray(np.moveaxis(RGB, -1, 0))
    stream = bytes(jpeg_ls.encode_array(planes, interleave_mode=0))
    for planar in (0, 1):
        assert np.array_equal(values_of(compressed(RGB, [stream], JPEG_LS, PlanarConfiguration=planar)), RGB)
    last_scan = stream.rindex(b"\xff\xda")
    with pytest.raises(Truncated):
        values_of(compressed(RGB, [stream[:last_scan] + b"\xff\xd9"], JPEG_LS))


def test_a_codestream_of_another_family_than_the_transfer_syntax_says_is_decoded_and_said():
    file = compressed(SMOOTH, [jpeg_2000(SMOOTH, 8)], LOSSLESS)
    assert np.array_equal(values_of(file), SMOOTH)
    assert read_facts(file).findings == {"codestream_family": (LOSSLESS, "jpeg-2000")}


def test_a_jpeg_of_more_scans_than_anybody_writes_is_refused():
    stream = jpeg(SMOOTH)
    scan = stream.index(b"\xff\xda")
    one_more = stream[scan:].removesuffix(b"\xff\xd9")
    with pytest.raises(UnsupportedImage, match="scans"):
        plain("jpeg", stream[:scan] + one_more * 101 + b"\xff\xd9")


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT"])
def test_htj2k_is_by_pixel_whatever_the_planar_configuration_says(photometric, planar):
    expected = np.broadcast_to(np.array([200, 60, 100], np.uint8), (8, 8, 3))
    tags = {"PhotometricInterpretation": photometric, "PlanarConfiguration": planar}
    assert np.array_equal(values_of(compressed(expected, [HTJ2K_RGB], HTJ2K, **tags)), expected)


@pytest.mark.parametrize("behind", [b"", b"\0" * 64, b"\xff" * 64], ids=range(3))
def test_htj2k_ends_where_its_tiles_do(behind):
    expected = (60 * np.arange(64).reshape(8, 8)).astype(np.uint16)
    for whole in (HTJ2K_GRAY + behind, HTJ2K_GRAY[:-2] + behind):
        assert np.array_equal(values_of(compressed(expected, [whole], HTJ2K, BitsStored=12, HighBit=11)), expected)
    with pytest.raises(Truncated):
        values_of(compressed(expected, [HTJ2K_GRAY[:-30] + behind], HTJ2K))
