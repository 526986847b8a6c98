"""Which pages of a TIFF are pictures of their own, and stacks of which only the first picture has a directory."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from maskrelay.errors import FrameOutOfRange, Truncated, UnsupportedImage
from maskrelay.imaging.read.source_survey import survey_tiff
from maskrelay.imaging.read.tiff import count_pages, find_pages, read_page

LIMIT = 1_000_000
SLIDE = np.arange(360 * 400 * 3, dtype=np.uint8).reshape(360, 400, 3)
LABEL = np.full((90, 90, 3), 7, np.uint8)


def tiff_of(*pages: tuple[np.ndarray[Any, Any], dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as out:
        for values, options in pages:
            out.write(values, contiguous=False, **{"metadata": None, "software": False, **options})
    return buffer.getvalue()


def smaller(values: np.ndarray[Any, Any], by: int) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(values[::by, ::by])


RGB: dict[str, Any] = {"photometric": "rgb"}
TILED = RGB | {"tile": (64, 64)}


@pytest.mark.parametrize(
    "others",
    [
        [(smaller(SLIDE, 4), RGB | {"subfiletype": 1})],
        [(smaller(SLIDE, 4), RGB | {"subfiletype": 9}), (LABEL, RGB | {"subfiletype": 1})],
        [(np.ones((360, 400), bool), {"subfiletype": 4})],
    ],
)
def test_smaller_versions_and_masks_of_a_page_are_no_frames(others):
    file = tiff_of((SLIDE, RGB), *others, (SLIDE[::-1].copy(), RGB))
    found = find_pages(file, max_pixels=LIMIT)
    assert (found.count, found.left_out) == (2, len(others))
    assert np.array_equal(read_page(file, 1, max_pixels=LIMIT).values, SLIDE[::-1])
    with pytest.raises(FrameOutOfRange):
        read_page(file, 2, max_pixels=LIMIT)


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param(
            [
                (SLIDE, TILED | {"description": "Aperio Image Library v12\r\n400x360 |AppMag = 20"}),
                (smaller(SLIDE, 4), RGB),
                (smaller(SLIDE, 2), TILED),
                (LABEL, RGB | {"description": "label 90x90"}),
                (SLIDE[::-1].copy(), RGB),
            ],
            id="aperio",
        ),
        pytest.param([(SLIDE, TILED), (smaller(SLIDE, 2), TILED), (LABEL, RGB)], id="a pyramid without marks"),
        pytest.param([(SLIDE, RGB | {"extratags": [(65420, "I", 1, 1, True)]}), (LABEL, RGB)], id="hamamatsu"),
        pytest.param(
            [(SLIDE, TILED | {"description": '<DataObject ObjectType="DPUfsImport">'}), (LABEL, RGB)], id="philips"
        ),
    ],
)
def test_of_a_slide_only_the_scan_at_its_full_size_is_a_frame(pages, tmp_path):
    path = tmp_path / "slide.tif"
    path.write_bytes(tiff_of(*pages))
    found = survey_tiff(path, {"upload": 0, "kind": "tiff", "size": 1}, max_pixels=LIMIT)
    assert (found.frames, found.findings) == (1, {"pages_left_out": len(pages) - 1})
    assert np.array_equal(read_page(path.read_bytes(), 0, max_pixels=LIMIT).values, SLIDE)


@pytest.mark.parametrize(
    "pages",
    [
        [(LABEL, RGB | {"description": "Label_Image"}), (SLIDE, TILED)],
        [(LABEL, RGB | {"description": '<?xml version="1.0"?><scn xmlns="leica">'}), (SLIDE, TILED)],
        [(LABEL, RGB), (SLIDE, TILED)],
    ],
)
def test_a_slide_whose_first_page_is_something_else_is_refused(pages):
    with pytest.raises(UnsupportedImage):
        count_pages(tiff_of(*pages), max_pixels=LIMIT)


def test_pages_of_a_plain_stack_are_all_frames_whatever_their_size(tmp_path):
    path = tmp_path / "stack.tif"
    path.write_bytes(tiff_of((SLIDE, RGB), (LABEL, RGB)))
    found = survey_tiff(path, {"upload": 0, "kind": "tiff", "size": 1}, max_pixels=LIMIT)
    assert (found.frames, found.findings) == (2, {})


def a_stack(path: Path, values: np.ndarray[Any, Any], **options: Any) -> Path:
    """One directory before all pictures, as ImageJ saves large stacks."""
    tifffile.imwrite(path, values, truncate=True, **options)
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
    return path


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("imagej", [True, False])
def test_a_stack_with_one_directory_has_all_its_frames(dtype, order, imagej, tmp_path):
    values = (np.arange(5 * 20 * 30).reshape(5, 20, 30) % 251).astype(dtype)
    path = a_stack(tmp_path / "stack.tif", values, imagej=imagej, byteorder=order, photometric="minisblack")
    assert count_pages(path, max_pixels=LIMIT) == 5
    for number in range(5):
        plane = read_page(path, number, max_pixels=LIMIT)
        assert np.array_equal(plane.values, values[number])
        assert (plane.values.dtype, plane.bits) == (np.dtype(dtype), 8 * np.dtype(dtype).itemsize)


def test_a_hyperstack_with_one_directory_has_a_frame_for_each_channel_and_slice(tmp_path):
    values = np.arange(2 * 3 * 2 * 8 * 9, dtype=np.uint16).reshape(2, 3, 2, 8, 9)
    path = a_stack(tmp_path / "stack.tif", values, imagej=True, metadata={"axes": "TZCYX"})
    assert count_pages(path, max_pixels=LIMIT) == 12
    assert np.array_equal(read_page(path, 11, max_pixels=LIMIT).values, values[1, 2, 1])


def test_a_stack_of_colours_with_one_directory_has_all_its_frames(tmp_path):
    values = np.arange(4 * 8 * 9 * 3, dtype=np.uint8).reshape(4, 8, 9, 3)
    path = a_stack(tmp_path / "stack.tif", values, imagej=True)
    assert count_pages(path, max_pixels=LIMIT) == 4
    assert np.array_equal(read_page(path, 3, max_pixels=LIMIT).values, values[3])


@pytest.mark.parametrize(("dtype", "channels"), [("u2", 3), ("i1", 1), ("i2", 1)])
def test_a_stack_with_one_directory_keeps_deep_colours_and_signs(dtype, channels, tmp_path):
    values = (np.arange(4 * 8 * 9 * channels) * 217).astype(dtype).reshape(4, 8, 9, channels)
    values = values if channels == 3 else values[..., 0]
    path = a_stack(tmp_path / "stack.tif", values, photometric="rgb" if channels == 3 else "minisblack")
    assert count_pages(path, max_pixels=LIMIT) == 4
    assert np.array_equal(read_page(path, 3, max_pixels=LIMIT).values, values[3])


def test_a_stack_of_colours_with_a_further_channel_and_one_directory_is_refused(tmp_path):
    values = np.zeros((4, 8, 9, 4), np.uint8)
    path = a_stack(tmp_path / "stack.tif", values, photometric="rgb", extrasamples=["unspecified"])
    with pytest.raises(UnsupportedImage, match="4 images"):
        count_pages(path, max_pixels=LIMIT)


def test_a_stack_that_ends_before_its_last_picture_is_refused(tmp_path):
    path = a_stack(tmp_path / "stack.tif", np.zeros((5, 20, 30), np.uint16), imagej=True)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Truncated, match="5 images"):
        count_pages(path, max_pixels=LIMIT)


def test_imagej_stacks_with_a_directory_a_picture_are_read_page_by_page(tmp_path):
    values = np.arange(3 * 8 * 9, dtype=np.uint16).reshape(3, 8, 9)
    tifffile.imwrite(tmp_path / "stack.tif", values, imagej=True)
    assert count_pages(tmp_path / "stack.tif", max_pixels=LIMIT) == 3
    assert np.array_equal(read_page(tmp_path / "stack.tif", 2, max_pixels=LIMIT).values, values[2])


def test_a_metamorph_stack_is_refused_by_name():
    with pytest.raises(UnsupportedImage, match="MetaMorph"):
        count_pages(tiff_of((LABEL, RGB | {"extratags": [(33629, "I", 4, (0,) * 4, True)]})), max_pixels=LIMIT)
