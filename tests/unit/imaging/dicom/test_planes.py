"""Synthetic objects: the number of every pixel is known beforehand."""

import io
import threading
import warnings

import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from maskrelay.errors import FrameOutOfRange, UnsupportedImage
from maskrelay.imaging.dicom import open_planes, read_facts
from maskrelay.imaging.intensity.window import to_bytes
from tests.support.builders.dicoms import (
    dataset_of,
    dicom_of,
    item,
    saved,
    with_pixels,
)

LIMIT = 1_000_000
NATIVE = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
RAMP = np.arange(-6, 6, dtype=np.int16).reshape(3, 4)


def plane_of(file: bytes, index: int = 0):
    return open_planes(file, max_pixels=LIMIT).plane(index)


def values_of(file: bytes, index: int = 0) -> np.ndarray:
    return plane_of(file, index).values


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int16", "uint32", "int32"])
def test_integers_of_every_size_stay_what_they_are(syntax, kind):
    limits = np.iinfo(kind)
    pixels = np.linspace(limits.min, limits.max, 15).astype(kind).reshape(3, 5)
    plane = plane_of(dicom_of(pixels, syntax))
    assert plane.values.dtype == kind
    assert np.array_equal(plane.values, pixels)
    assert (plane.bits, plane.inverted, plane.padding) == (limits.bits, False, None)


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize(
    ("kind", "vr", "keyword"), [("float32", "OF", "FloatPixelData"), ("float64", "OD", "DoubleFloatPixelData")]
)
def test_floats_are_read(syntax, kind, vr, keyword):
    pixels = np.linspace(-1.5, 7.25, 12).reshape(3, 4).astype(kind)
    dataset = dataset_of(pixels, BitsStored=None, HighBit=None, PixelRepresentation=None)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    dataset.add_new(keyword, vr, pixels.astype(pixels.dtype.newbyteorder(order)).tobytes())
    assert np.array_equal(values_of(saved(dataset, syntax)), pixels)


@pytest.mark.parametrize("syntax", NATIVE)
def test_frames_of_odd_length_do_not_run_into_each_other(syntax):
    frames = np.arange(4 * 15, dtype=np.uint8).reshape(4, 3, 5)
    planes = open_planes(dicom_of(frames, syntax), max_pixels=LIMIT)
    assert all(np.array_equal(planes.plane(index).values, frames[index]) for index in range(4))


@pytest.mark.parametrize("syntax", NATIVE)
def test_single_bits_become_black_and_white_in_every_frame(syntax):
    frames = np.random.default_rng(1).integers(0, 2, (5, 3, 7)).astype(np.uint8)  # 21 bits a frame
    dataset = dataset_of(frames, BitsAllocated=1, BitsStored=1, HighBit=0)
    packed = np.packbits(frames.reshape(-1), bitorder="little").tobytes()
    planes = open_planes(with_pixels(dataset, packed, syntax, "OB"), max_pixels=LIMIT)
    assert all(np.array_equal(planes.plane(index).values, frames[index] * 255) for index in range(5))
    assert planes.plane(0).bits == 1


@pytest.mark.parametrize("signed", [False, True])
def test_an_overlay_above_the_stored_bits_is_not_seen(signed):
    overlay = np.array([[0x0000, 0xF000, 0x8000, 0x1000]], np.uint16)
    low = np.array([[0x000, 0x7FF, 0x800, 0xFFF]], np.uint16)
    file = dicom_of(overlay | low, BitsStored=12, HighBit=11, PixelRepresentation=int(signed))
    assert values_of(file).tolist() == [[0, 2047, -2048, -1] if signed else [0, 2047, 2048, 4095]]
    assert plane_of(file).bits == 12


@pytest.mark.parametrize("signed", [False, True])
def test_a_high_bit_above_the_lowest_place_is_followed(signed):
    stored = np.array([[0x000, 0x7FF, 0x800, 0xFFF]], np.uint16)
    file = dicom_of(stored << 4 | 0xF, BitsStored=12, HighBit=15, PixelRepresentation=int(signed))
    assert values_of(file).tolist() == [[0, 2047, -2048, -1] if signed else [0, 2047, 2048, 4095]]


@pytest.mark.parametrize(
    ("slope", "intercept", "kind", "expected"),
    [
        (1, 0, np.int16, RAMP),
        (1, -1024, np.int32, RAMP.astype(int) - 1024),
        (-2, 7, np.int32, RAMP.astype(int) * -2 + 7),
        ("0.5", "0.25", np.float64, RAMP * 0.5 + 0.25),
        (None, 3, np.int32, RAMP + 3),
        (3, None, np.int32, RAMP * 3),
        ("1e30", 0, np.float64, RAMP * 1e30),
    ],
)
def test_a_rescale_gives_the_smallest_integers_that_can_hold_it_or_floats(slope, intercept, kind, expected):
    plane = plane_of(dicom_of(RAMP, RescaleSlope=slope, RescaleIntercept=intercept))
    assert plane.values.dtype == kind
    assert np.array_equal(plane.values, expected)


def test_twelve_bits_of_ct_fit_sixteen():
    pixels = np.array([[0, 4095]], np.uint16)
    plane = plane_of(dicom_of(pixels, BitsStored=12, HighBit=11, RescaleSlope=1, RescaleIntercept=-1024))
    assert (plane.values.dtype, plane.bits, plane.values.tolist()) == (np.int16, 12, [[-1024, 3071]])


def test_eight_bits_rescaled_are_no_longer_shown_as_they_are():
    pixels = np.array([[0, 255]], np.uint8)
    assert plane_of(dicom_of(pixels, RescaleSlope=4, RescaleIntercept=0)).bits == 16


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("bits", [2, 4, 6, 7])
def test_gray_of_fewer_than_eight_bits_fills_the_range_from_black_to_white(bits, kind):
    white = (1 << bits) - 1
    pixels = np.array([[0, 1, white]], kind)
    tags = {"BitsStored": bits, "HighBit": bits - 1}
    file = dicom_of(pixels, **tags)
    assert values_of(file).tolist() == pixels.tolist()
    shown = [0, round(255 / white), 255]
    assert to_bytes(plane_of(file), None)[0].tolist() == [shown]
    assert to_bytes(plane_of(file), None)[1] == "none"
    inverted = dicom_of(pixels, PhotometricInterpretation="MONOCHROME1", **tags)
    assert to_bytes(plane_of(inverted), None)[0].tolist() == [[255 - level for level in shown]]


def test_thirty_two_bits_times_a_large_slope_do_not_wrap():
    pixels = np.array([[0, 2**32 - 1]], np.uint32)
    assert values_of(dicom_of(pixels, RescaleSlope=2**20)).tolist() == [[0, (2**32 - 1) * 2**20]]
    assert values_of(dicom_of(pixels, RescaleSlope=2**40)).dtype == np.float64


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (16, np.uint16)])
def test_a_modality_table_is_applied_with_its_ends_held(syntax, bits, kind):
    table = item(LUTDescriptor=[4, -1, bits], LUTData=b"", ModalityLUTType="US")
    entries = np.array([10, 20, 30, 40], ">u2" if syntax == ExplicitVRBigEndian else "<u2")
    table["LUTDescriptor"].VR = "SS"
    table.add_new("LUTData", "OW", entries.tobytes())
    pixels = np.array([[-9, -1, 0, 1, 2, 9]], np.int16)
    values = values_of(dicom_of(pixels, syntax, ModalityLUTSequence=[table], RescaleSlope=None))
    assert values.dtype == kind
    assert values.tolist() == [[10, 10, 20, 30, 40, 40]]


def test_each_frame_of_an_enhanced_object_has_its_own_rescale():
    def group(slope: float, intercept: float):
        macro = item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
        return item(PixelValueTransformationSequence=macro)

    frames = np.full((3, 2, 2), 10, np.uint16)
    file = dicom_of(
        frames,
        PerFrameFunctionalGroupsSequence=[group(1, 5), group(0.5, 0), item()],
        SharedFunctionalGroupsSequence=[group(2, 1)],
    )
    planes = open_planes(file, max_pixels=LIMIT)
    assert [planes.plane(index).values[0, 0] for index in range(3)] == [15, 5, 21]


def test_monochrome1_is_said_and_not_applied():
    plane = plane_of(dicom_of(RAMP, PhotometricInterpretation="MONOCHROME1"))
    assert plane.inverted
    assert np.array_equal(plane.values, RAMP)


@pytest.mark.parametrize(
    ("tags", "padded"),
    [
        ({"PixelPaddingValue": -6}, [0]),
        ({"PixelPaddingValue": -6, "PixelPaddingRangeLimit": -4}, [0, 1, 2]),
        ({"PixelPaddingValue": 5, "PixelPaddingRangeLimit": 4}, [10, 11]),
        ({"PixelPaddingValue": -2000}, None),
        ({}, None),
    ],
)
def test_padding_is_found_by_stored_values(tags, padded):
    plane = plane_of(dicom_of(RAMP, RescaleSlope=1, RescaleIntercept=100, **tags))
    found = None if plane.padding is None else np.flatnonzero(plane.padding).tolist()
    assert found == padded


def test_padding_written_without_its_sign_is_understood():
    pixels = np.array([[-2000, 0, 63536 - 65536]], np.int16)
    dataset = dataset_of(pixels)
    dataset.add_new("PixelPaddingValue", "US", 63536)
    plane = plane_of(with_pixels(dataset, pixels.tobytes(), vr="OW"))
    assert plane.padding is not None
    assert plane.padding.tolist() == [[True, False, True]]


@pytest.mark.parametrize("index", [-1, 3, 10**9])
def test_a_frame_that_is_not_there_is_refused_with_the_numbers(index):
    with pytest.raises(FrameOutOfRange) as refusal:
        plane_of(dicom_of(np.zeros((3, 2, 2), np.uint8)), index)
    assert refusal.value.detail == f"There is no frame {index}: (0028,0008) NumberOfFrames is 3, counted from 0."


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_file_without_preamble_and_meta_header_is_read(syntax):
    file = dicom_of(RAMP, syntax)
    bare = file[file.index(b"\0\x08\0\x16" if syntax == ExplicitVRBigEndian else b"\x08\0\x16\0") :]
    assert np.array_equal(values_of(bare), RAMP)
    assert read_facts(bare).transfer_syntax == syntax


def test_one_object_serves_many_threads(tmp_path):
    frames = np.random.default_rng(0).integers(0, 4096, (40, 16, 16)).astype(np.uint16)
    path = tmp_path / "object"
    path.write_bytes(dicom_of(frames))
    planes = open_planes(path, max_pixels=LIMIT)
    wrong: list[int] = []

    def read(start: int) -> None:
        wrong.extend(at for at in range(start, 40, 4) if not np.array_equal(planes.plane(at).values, frames[at]))

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_warnings_are_heard_again_after_threads_have_read():
    before = list(warnings.filters)
    noisy = dicom_of(RAMP, NumberOfFrames=0)
    threads = [threading.Thread(target=plane_of, args=(noisy,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


class Counting(io.BytesIO):
    read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.read_bytes += len(found)
        return found


def test_of_many_frames_only_the_one_is_read(monkeypatch):
    counted: list[Counting] = []

    def counting(file: bytes) -> Counting:
        counted.append(Counting(file))
        return counted[-1]

    monkeypatch.setattr("maskrelay.imaging.dicom.stream.BytesIO", counting)
    frames = np.arange(300 * 64 * 64, dtype=np.uint16).reshape(300, 64, 64)
    file = dicom_of(frames)
    assert np.array_equal(values_of(file, 299), frames[299])
    assert sum(stream.read_bytes for stream in counted) < 3 * 64 * 64 * 2
    counted.clear()
    read_facts(file)
    assert sum(stream.read_bytes for stream in counted) < 4096


def test_a_refusal_quotes_nothing_of_the_file(caplog):
    file = dicom_of(RAMP, PatientName="Doe^Jane", Modality="CT")
    damaged = file.replace(b"MONOCHROME2", b"Doe^Jane   ")
    with pytest.raises(UnsupportedImage) as refusal:
        plane_of(damaged)
    assert "Jane" not in str(refusal.value) + repr(refusal.value.__cause__) + caplog.text
