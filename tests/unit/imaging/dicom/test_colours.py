"""Colours of every kind become the RGB they stand for."""

import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from maskrelay.errors import TagInvalid, UnsupportedImage
from maskrelay.imaging.dicom import open_planes
from maskrelay.imaging.plane import Plane
from tests.support.builders.dicoms import dataset_of, dicom_of, with_pixels
from tests.support.builders.pictures import gradient_array

NATIVE = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def plane_of(file: bytes) -> Plane:
    return open_planes(file, max_pixels=1_000_000).plane(0)


def values_of(file: bytes) -> np.ndarray:
    return plane_of(file).values


COLOUR = gradient_array(6, 5)


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("planar", [0, 1])
def test_rgb_is_read_in_both_planar_configurations(syntax, planar):
    pixels = COLOUR if planar == 0 else COLOUR.transpose(2, 0, 1).reshape(5, 6, 3)
    plane = plane_of(dicom_of(np.ascontiguousarray(pixels), syntax, PlanarConfiguration=planar))
    assert np.array_equal(plane.values, COLOUR)
    assert plane.bits == 8


@pytest.mark.parametrize(("kind", "stored"), [("uint16", 16), ("uint16", 12), ("uint32", 32), ("uint16", 8)])
def test_deep_colours_are_brought_to_eight_bits(kind, stored):
    deep = COLOUR.astype(kind) << (stored - 8)
    assert np.array_equal(values_of(dicom_of(deep, BitsStored=stored, HighBit=stored - 1)), COLOUR)


def to_ybr(rgb: np.ndarray) -> np.ndarray:
    """PS3.3 C.7.6.3.1.2, YBR_FULL, as floats."""
    matrix = np.array([[0.2990, 0.5870, 0.1140], [-0.1687, -0.3313, 0.5000], [0.5000, -0.4187, -0.0813]])
    return rgb.astype(float) @ matrix.T + [0, 128, 128]


def test_ybr_full_becomes_rgb():
    ybr = np.clip(np.rint(to_ybr(COLOUR)), 0, 255).astype(np.uint8)
    rgb = values_of(dicom_of(ybr, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(rgb.astype(int) - COLOUR).max() <= 2


def subsampled(ybr: np.ndarray) -> bytes:
    """Y1 Y2 Cb Cr for each pair of pixels."""
    pairs = ybr.reshape(-1, 2, 3)
    return np.stack([pairs[:, 0, 0], pairs[:, 1, 0], pairs[:, 0, 1], pairs[:, 0, 2]], axis=1).tobytes()


@pytest.mark.parametrize("planar", [0, 1])  # the standard allows only 0, and other programs ignore the tag
@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_PARTIAL_422"])
def test_subsampled_ybr_becomes_rgb(photometric, planar):
    wide = np.repeat(gradient_array(4, 5), 2, axis=1)  # neighbours share their colour
    ybr = to_ybr(wide)
    if photometric == "YBR_PARTIAL_422":
        ybr = (ybr - [0, 128, 128]) * [219 / 255, 224 / 255, 224 / 255] + [16, 128, 128]
    dataset = dataset_of(wide, PhotometricInterpretation=photometric, PlanarConfiguration=planar)
    rgb = values_of(with_pixels(dataset, subsampled(np.clip(np.rint(ybr), 0, 255).astype(np.uint8))))
    assert np.abs(rgb.astype(int) - wide).max() <= 3


def test_ybr_that_only_says_it_is_subsampled_is_read_by_its_length():
    ybr = np.clip(np.rint(to_ybr(COLOUR)), 0, 255).astype(np.uint8)
    rgb = values_of(dicom_of(ybr, PhotometricInterpretation="YBR_FULL_422"))
    assert np.abs(rgb.astype(int) - COLOUR).max() <= 2


def palette(entries: int, first: int, bits: int, tables: list[np.ndarray], prefix: str = "") -> dict[str, object]:
    tags: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [entries, first, bits]
        tags[f"{prefix}{colour}PaletteColorLookupTableData"] = table.tobytes()
    return tags


RED, GREEN, BLUE = np.array([1, 50, 255]), np.array([2, 60, 0]), np.array([3, 70, 128])
PALETTE_PIXELS = np.array([[0, 10, 11, 12, 99]], np.uint8)
PALETTE_COLOURS = np.stack([RED, GREEN, BLUE], axis=1)[[0, 0, 1, 2, 2]]


@pytest.mark.parametrize(
    ("bits", "kind", "widen"),
    [(8, "u1", 1), (8, "<u2", 1), (16, "<u2", 256), (16, "<u2", 257), (16, "<u2", 1)],
    ids=["bytes", "bytes-in-words", "shifted", "repeated", "bytes-said-to-be-words"],
)
def test_a_palette_becomes_its_colours(bits, kind, widen):
    tables = [(table * widen).astype(kind) for table in (RED, GREEN, BLUE)]
    if kind == "u1":
        tables = [np.append(table, np.uint8(0)) for table in tables]  # padded to an even length
    plane = plane_of(dicom_of(PALETTE_PIXELS, **palette(3, 10, bits, tables)))
    assert np.array_equal(plane.values[0], PALETTE_COLOURS)
    assert plane.bits == 8


def test_a_segmented_palette_is_expanded():
    red = [0, 2, 0, 256 * 10, 1, 4, 256 * 50, 2, 1, 0, 0]  # two, four in a line, then the first segment again
    flat = [0, 1, 256 * 7, 1, 7, 256 * 7]
    tables = [np.array(segments, "<u2") for segments in (red, flat, flat)]
    pixels = np.arange(8, dtype=np.uint8).reshape(1, 8)
    values = values_of(dicom_of(pixels, **palette(8, 0, 16, tables, "Segmented")))
    assert values[0, :, 0].tolist() == [0, 10, 20, 30, 40, 50, 0, 10]
    assert values[0, :, 1].tolist() == [7] * 8


@pytest.mark.parametrize(
    "segments",
    [[1, 4, 100], [9, 1, 1], [0, 2, 0, 0], [2, 1, 0, 0], [0, 1, 5, 2, 9, 3, 0], [0, 1, 5, 1]],
    ids=["line-first", "unknown", "too-few", "repeat-first", "repeat-itself", "cut"],
)
def test_a_broken_segmented_palette_is_refused(segments):
    tables = [np.array(segments, "<u2")] * 3
    with pytest.raises(TagInvalid):
        values_of(dicom_of(np.zeros((1, 8), np.uint8), **palette(8, 0, 16, tables, "Segmented")))


def test_a_palette_without_its_tables_is_refused_by_name():
    with pytest.raises(TagInvalid, match="RedPaletteColorLookupTable"):
        values_of(dicom_of(PALETTE_PIXELS, PhotometricInterpretation="PALETTE COLOR"))


@pytest.mark.parametrize("photometric", ["HSV", "ARGB", "CMYK", "YBR_PARTIAL_420", "XYZ"])
def test_colours_that_are_not_read_are_refused_by_name(photometric):
    with pytest.raises(UnsupportedImage, match="PhotometricInterpretation"):
        values_of(dicom_of(COLOUR, PhotometricInterpretation=photometric))
