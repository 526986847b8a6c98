"""Every file that comes with pydicom: what becomes of it, and that others see the same picture in it."""

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.pixels import apply_color_lut, apply_modality_lut

from maskrelay.errors import ItemError
from maskrelay.imaging.dicom import looks_like_dicom, open_planes, read_facts
from maskrelay.imaging.plane import Plane

FOLDER = Path(pydicom.__file__).parent / "data"
TABLE = Path(__file__).parents[3] / "data" / "pydicom_outcomes.tsv"
LIMIT = 1_000_000

# Lossy code streams leave the last bits to the decoder.
LOSSY = {"JPGExtended": 1, "SC_jpeg_no_color": 1, "SC_rgb_dcmtk_+eb": 2, "SC_rgb_jpeg": 2, "examples_ybr_color": 3}
# What SimpleITK reads in another way, and why it is not the judge there.
NOT_SEEN_ALIKE = {
    "test_files/SC_rgb_rle_16bit.dcm": "the colours come mixed",
    "test_files/SC_rgb_rle_16bit_2frame.dcm": "the colours come mixed",
    "test_files/SC_rgb_rle_32bit.dcm": "the colours come mixed",
    "test_files/SC_rgb_rle_32bit_2frame.dcm": "the colours come mixed",
    "test_files/rtdose_expb.dcm": "32 bits are not turned to the machine's order",
}


def bundled_files() -> list[str]:
    return sorted(
        path.relative_to(FOLDER).as_posix()
        for path in FOLDER.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    )


def table() -> dict[str, list[str]]:
    with TABLE.open(encoding="utf-8", newline="") as lines:
        return {row[0]: row[1:] for row in csv.reader(lines, delimiter="\t")}


def planes_of(name: str) -> list[Plane]:
    path = FOLDER / name
    facts, planes = read_facts(path), open_planes(path, max_pixels=LIMIT)
    return [planes.plane(index) for index in range(facts.frames)]


def outcome_of(name: str) -> list[str]:
    """code, or `picture`, frames, shape, type, bits, inverted, padding pixels, least, greatest, hash of all frames."""
    try:
        planes = planes_of(name)
    except ItemError as error:
        return [error.code]
    values = np.stack([plane.values for plane in planes])
    padding = sum(0 if plane.padding is None else int(plane.padding.sum()) for plane in planes)
    first = planes[0]
    picture = ["picture", len(planes), "x".join(map(str, first.values.shape)), first.values.dtype, first.bits]
    seen = [first.inverted, padding, values.min(), values.max(), hashlib.sha256(values.tobytes()).hexdigest()[:16]]
    return [str(value) for value in (*picture, *seen)]


OUTCOMES = table()
PICTURES = [name for name, outcome in OUTCOMES.items() if outcome[0] == "picture"]


def test_the_table_names_every_file_of_the_package():
    assert sorted(OUTCOMES) == bundled_files()


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_bundled_file_has_its_outcome(name):
    assert outcome_of(name) == OUTCOMES[name]


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_path_and_its_bytes_are_the_same_source(name):
    verdicts = []
    for source in (FOLDER / name, (FOLDER / name).read_bytes()):
        try:
            verdicts.append(read_facts(source).model_dump())
        except ItemError as error:
            verdicts.append((error.code, error.detail))
    assert verdicts[0] == verdicts[1]


@pytest.mark.parametrize("name", OUTCOMES)
def test_what_is_read_looks_like_dicom_and_what_is_no_image_does_not(name):
    not_dicom = OUTCOMES[name] == ["not_an_image"]
    assert looks_like_dicom((FOLDER / name).read_bytes()[:132]) != not_dicom


@pytest.mark.filterwarnings("ignore")  # pydicom warns of what some of the files are there for
@pytest.mark.parametrize("name", PICTURES)
def test_pydicom_sees_the_same_when_it_decodes_the_whole_file(name):
    ours = np.stack([plane.values for plane in planes_of(name)]).astype(np.float64)
    theirs = whole_by_pydicom(FOLDER / name).reshape(ours.shape)
    assert np.array_equal(ours, theirs)


def whole_by_pydicom(path: Path) -> np.ndarray[Any, Any]:
    dataset = pydicom.dcmread(path)
    pixels = dataset.pixel_array
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    pixels = apply_modality_lut(pixels, dataset)
    if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        pixels = pixels >> (8 * pixels.dtype.itemsize - 8)
    return pixels.astype(np.float64)


@pytest.mark.parametrize("name", sorted(set(PICTURES) - set(NOT_SEEN_ALIKE)))
def test_simpleitk_sees_the_same_where_it_reads_the_file(name):
    try:
        theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(FOLDER / name))).astype(np.float64)
    except RuntimeError:
        pytest.skip("SimpleITK does not read this file")
    planes = planes_of(name)
    ours = np.stack([plane.values for plane in planes]).astype(np.float64)
    if planes[0].inverted:
        theirs = upright(pydicom.dcmread(FOLDER / name))(theirs)
    tolerance = next((most for part, most in LOSSY.items() if part in name), 1e-9)
    assert np.abs(ours - theirs.reshape(ours.shape)).max() <= tolerance


def upright(dataset: pydicom.Dataset) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    """SimpleITK turns MONOCHROME1 over before it rescales."""
    slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
    greatest = (1 << dataset.BitsStored) - 1
    return lambda values: (greatest - (values - intercept) / slope) * slope + intercept


@pytest.mark.parametrize("depth", ["16bit", "32bit"])
def test_deep_colours_are_the_picture_of_eight_bits(depth):
    deep = planes_of(f"test_files/SC_rgb_rle_{depth}.dcm")[0]
    assert np.array_equal(deep.values, planes_of("test_files/SC_rgb_rle.dcm")[0].values)


def test_dose_in_the_other_byte_order_is_the_same():
    one, other = planes_of("test_files/rtdose.dcm"), planes_of("test_files/rtdose_expb.dcm")
    assert len(one) == 15
    assert all(np.array_equal(a.values, b.values) for a, b in zip(one, other, strict=True))
