"""Files of which a decoder would make minutes of work are refused before it sees them."""

import struct

import numpy as np
import pytest
from PIL import Image

from maskrelay.errors import UnsupportedImage
from maskrelay.imaging.bounds import (
    MOST_CHUNKS,
    MOST_SCANNED,
    MOST_SCANS,
    MOST_SEGMENTS,
    check_chunks,
    check_scans,
    check_segments,
)
from maskrelay.imaging.dicom import open_planes
from maskrelay.imaging.read.picture import decode
from maskrelay.imaging.read.tiff import count_pages
from tests.support.builders.dicoms import compressed
from tests.support.builders.pictures import chunk, gradient, saved

LIMIT = 10_000


def scans_of(file: bytes) -> int:
    return file.count(b"\xff\xda")


def jpeg_of(scans: int) -> bytes:
    """A progressive JPEG whose last scan stands in it as often as it takes."""
    file = saved(gradient(), "JPEG", progressive=True)
    last = file.rindex(b"\xff\xda")
    return file[:-2] + file[last:-2] * (scans - scans_of(file)) + file[-2:]


def test_a_jpeg_of_more_scans_than_any_camera_makes_is_refused() -> None:
    with pytest.raises(UnsupportedImage, match="scans"):
        decode(jpeg_of(MOST_SCANS + 1), max_pixels=LIMIT)
    assert decode(saved(gradient(), "JPEG", progressive=True), max_pixels=LIMIT).pixels.shape == (30, 40, 3)


def test_a_larger_picture_may_have_fewer_scans() -> None:
    check_scans(jpeg_of(25), MOST_SCANNED // 25)
    with pytest.raises(UnsupportedImage, match="scans"):
        check_scans(jpeg_of(26), MOST_SCANNED // 25)


@pytest.mark.parametrize("kind", ["a comment", "behind the end"])
def test_bytes_that_look_like_scans_and_are_none_are_not_counted(kind: str) -> None:
    file, noise = saved(gradient(), "JPEG"), b"\xff\xda" * 500
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(noise)) + noise
    file = file[:2] + comment + file[2:] if kind == "a comment" else file + noise
    assert decode(file, max_pixels=LIMIT).pixels.shape == (30, 40, 3)


def test_a_frame_of_dicom_is_bounded_as_well() -> None:
    frame = jpeg_of(MOST_SCANS + 1)
    file = compressed(np.zeros((30, 40, 3), np.uint8), [frame], "1.2.840.10008.1.2.4.50")
    with pytest.raises(UnsupportedImage, match="scans"):
        open_planes(file, max_pixels=LIMIT).plane(0)


@pytest.mark.parametrize("filling", [b"\xff\xfe\x00\x02", b"\xff"])
def test_a_jpeg_of_countless_segments_or_fill_bytes_is_refused(filling: bytes) -> None:
    file = saved(gradient(), "JPEG")
    with pytest.raises(UnsupportedImage, match="segments"):
        decode(file[:2] + filling * (2 * MOST_SEGMENTS) + file[2:], max_pixels=LIMIT)


def test_a_png_of_countless_chunks_is_refused() -> None:
    file, empty = saved(gradient(), "PNG"), chunk(b"teSt", b"")
    with pytest.raises(UnsupportedImage, match="chunks"):
        decode(file[:-12] + empty * (MOST_CHUNKS + 1) + file[-12:], max_pixels=LIMIT)


def test_the_largest_numbers_of_segments_and_chunks_are_accepted() -> None:
    segments = struct.pack(">HH", 0xFFFE, 2)
    jpeg = b"\xff\xd8" + segments * MOST_SEGMENTS + b"\xff\xda\x00\x02"
    check_segments(jpeg)
    with pytest.raises(UnsupportedImage, match=f"more than {MOST_SEGMENTS}"):
        check_segments(jpeg[:2] + segments + jpeg[2:])
    empty = chunk(b"teSt", b"")
    check_chunks(b"\x89PNG\r\n\x1a\n" + empty * MOST_CHUNKS)
    with pytest.raises(UnsupportedImage, match=f"more than {MOST_CHUNKS}"):
        check_chunks(b"\x89PNG\r\n\x1a\n" + empty * (MOST_CHUNKS + 1))


def test_a_tiff_with_countless_tags_is_refused() -> None:
    file = bytearray(saved(Image.fromarray(np.zeros((4, 4), np.uint8)), "TIFF"))
    [place] = struct.unpack_from("<I", file, 4)
    file[place : place + 2] = b"\xff\xff"
    with pytest.raises(UnsupportedImage, match="tags"):
        count_pages(bytes(file) + bytes(1 << 20), max_pixels=LIMIT)
