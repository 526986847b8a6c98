"""Stacks of TIFF pages; Pillow and tifffile write them."""

import io
import itertools
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskrelay.errors import (
    FrameOutOfRange,
    ItemError,
    NotAnImage,
    TooManyPixels,
    Truncated,
    UnsupportedImage,
    ZeroSized,
)
from maskrelay.imaging.intensity.window import to_bytes
from maskrelay.imaging.read import tiff_pages
from maskrelay.imaging.read.picture import decode
from maskrelay.imaging.read.tiff import count_pages, read_page
from tests.support.builders.pictures import gradient, noise, saved

LIMIT = 1_000_000


def stack_of(pages, **options) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(
        buffer, bigtiff=options.pop("bigtiff", False), byteorder=options.pop("byteorder", "<")
    ) as out:
        for page in pages:
            out.write(page, contiguous=False, **options)
    return buffer.getvalue()


def deep_pages(dtype, count=4):
    return [(np.arange(600).reshape(20, 30) * 7 + 1000 * number).astype(dtype) for number in range(count)]


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(
    ("dtype", "byteorder", "bigtiff"),
    [
        *itertools.product(["uint8", "uint16", "int16", "int32", "float32"], "<>", [False]),
        *itertools.product(["uint8", "uint16", "int16", "int32", "float32"], "<", [True]),
        ("uint32", "<", False),
    ],
)
def test_every_page_of_gray_is_what_was_written(dtype, byteorder, bigtiff, compression, tmp_path):
    pages = deep_pages(dtype)
    file = stack_of(pages, byteorder=byteorder, bigtiff=bigtiff, compression=compression)
    path = tmp_path / "stack.tif"
    path.write_bytes(file)
    for source in (file, path):
        assert count_pages(source, max_pixels=LIMIT) == 4
        for number, page in enumerate(pages):
            plane = read_page(source, number, max_pixels=LIMIT)
            assert np.array_equal(plane.values, page)
            assert plane.bits == page.dtype.itemsize * 8


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_every_page_of_colour_is_whole(dtype, compression):
    pages = [noise(20, 10, seed).astype(dtype) * (257 if dtype == "uint16" else 1) // (seed + 1) for seed in range(3)]
    pages = [page.astype(dtype) for page in pages]
    file = stack_of(pages, compression=compression, photometric="rgb")
    for number, page in enumerate(pages):
        assert np.array_equal(read_page(file, number, max_pixels=LIMIT).values, page)


def test_pillows_own_stacks_of_palettes_and_jpeg_are_read():
    pictures = [Image.fromarray(noise(16, 12, seed)).quantize(9) for seed in range(3)]
    file = saved(pictures[0], "TIFF", save_all=True, append_images=pictures[1:])
    for number, picture in enumerate(pictures):
        assert np.array_equal(read_page(file, number, max_pixels=LIMIT).values, np.asarray(picture.convert("RGB")))


def one_of_many(kind: str) -> tuple[list[bytes], bytes]:
    """Single files and the same pages as a stack."""
    options = {"compression": "jpeg"} if kind == "jpeg" else {}
    pictures = [gradient(), gradient().transpose(Image.Transpose.FLIP_LEFT_RIGHT), gradient().convert("L")]
    if kind == "deep":
        pictures = [Image.fromarray(page) for page in deep_pages(np.uint16, 3)]
    singles = [saved(picture, "TIFF", **options) for picture in pictures]
    return singles, saved(pictures[0], "TIFF", save_all=True, append_images=pictures[1:], **options)


@pytest.mark.parametrize("kind", ["plain", "jpeg", "deep"])
def test_a_page_is_read_as_a_file_of_that_page_alone(kind):
    singles, stack = one_of_many(kind)
    for number, single in enumerate(singles):
        alone = decode(single, max_pixels=LIMIT)
        plane = read_page(stack, number, max_pixels=LIMIT)
        pixels, name = to_bytes(plane, None)
        assert np.array_equal(pixels, alone.pixels)
        assert (plane.bits, name) == (alone.bits, alone.intensity)
        assert np.array_equal(read_page(single, 0, max_pixels=LIMIT).values, plane.values)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_page_is_turned_by_its_own_orientation(orientation):
    pages = [noise(12, 8, seed, 1) for seed in range(2)]
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as out:
        out.write(pages[0], contiguous=False)
        out.write(pages[1], contiguous=False, extratags=[(274, 3, 1, orientation, True)])
    file = buffer.getvalue()
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    upright = Image.fromarray(pages[1])
    if orientation in turned:
        upright = upright.transpose(Image.Transpose(turned[orientation]))
    assert np.array_equal(read_page(file, 0, max_pixels=LIMIT).values, pages[0])
    assert np.array_equal(read_page(file, 1, max_pixels=LIMIT).values, np.asarray(upright))


def test_pages_beyond_the_last_are_refused():
    file = stack_of(deep_pages(np.uint8))
    for number in (4, -1):
        with pytest.raises(FrameOutOfRange, match="4 pages"):
            read_page(file, number, max_pixels=LIMIT)


def test_the_size_of_each_page_is_checked():
    file = stack_of([np.zeros((10, 10), np.uint8), np.zeros((30, 30), np.uint8)])
    assert count_pages(file, max_pixels=100) == 2
    assert read_page(file, 0, max_pixels=100).values.shape == (10, 10)
    with pytest.raises(TooManyPixels):
        read_page(file, 1, max_pixels=100)
    with pytest.raises(TooManyPixels):
        count_pages(file, max_pixels=99)


def places_of(file: bytes) -> list[int]:
    """Where each page's directory says where the next one is (a classic TIFF, little-endian)."""
    found, [place] = [], struct.unpack_from("<I", file, 4)
    while place:
        [entries] = struct.unpack_from("<H", file, place)
        found.append(place + 2 + 12 * entries)
        [place] = struct.unpack_from("<I", file, found[-1])
    return found


@pytest.mark.parametrize("target", ["itself", "the first", "outside", "the last byte"])
def test_a_chain_that_does_not_end_is_refused(target):
    file = bytearray(stack_of(deep_pages(np.uint8)))
    [first] = struct.unpack_from("<I", file, 4)
    links = places_of(file)
    [third] = struct.unpack_from("<I", file, links[1])
    goal = {"itself": third, "the first": first, "outside": 2**32 - 2, "the last byte": len(file) - 1}[target]
    struct.pack_into("<I", file, links[2], goal)
    for read in (count_pages, lambda stack, **limit: read_page(stack, 1, **limit)):
        with pytest.raises(Truncated):
            read(bytes(file), max_pixels=LIMIT)


def test_a_big_tiffs_place_beyond_any_file_is_refused():
    file = bytearray(stack_of(deep_pages(np.uint8), bigtiff=True))
    struct.pack_into("<Q", file, 8, 2**64 - 1)
    with pytest.raises(UnsupportedImage):
        count_pages(bytes(file), max_pixels=LIMIT)


def test_more_pages_than_any_stack_has_are_refused(monkeypatch):
    monkeypatch.setattr(tiff_pages, "MOST_PAGES", 3)
    with pytest.raises(UnsupportedImage, match="more than 3"):
        count_pages(stack_of(deep_pages(np.uint8)), max_pixels=LIMIT)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (b"", ZeroSized),
        (b"II*\0", Truncated),
        (b"II*\0\0\0\0\0", ZeroSized),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, NotAnImage),
    ],
)
def test_what_is_no_tiff_is_refused(file, expected):
    with pytest.raises(expected):
        count_pages(file, max_pixels=LIMIT)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of many kinds of damage; only the verdict counts
@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_mutated_stack_gives_pages_or_a_coded_error(bigtiff):
    whole = stack_of([noise(20, 15, seed) for seed in range(3)], bigtiff=bigtiff, compression="zlib")
    random = np.random.default_rng(3)
    read = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(random.integers(1, 5)):
            damaged[int(random.integers(0, len(damaged)))] = int(random.integers(0, 256))
        try:
            for number in range(min(count_pages(bytes(damaged), max_pixels=LIMIT), 5)):
                read_page(bytes(damaged), number, max_pixels=LIMIT)
            read += 1
        except ItemError:
            pass
    assert 0 < read < 400


def test_a_big_tiff_in_big_endian_order_is_refused_by_name():
    with pytest.raises(UnsupportedImage, match="big-endian"):
        count_pages(stack_of(deep_pages(np.uint8), bigtiff=True, byteorder=">"), max_pixels=LIMIT)


def test_signed_bytes_keep_their_sign():
    page = (np.arange(600).reshape(20, 30) % 256 - 128).astype(np.int8)
    plane = read_page(stack_of([page]), 0, max_pixels=LIMIT)
    assert plane.values.dtype == np.int8
    assert np.array_equal(plane.values, page)
