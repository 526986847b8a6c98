import io
import itertools
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from maskrelay.errors import UnsupportedImage
from maskrelay.imaging.png import SIGNATURE, chunk
from maskrelay.imaging.read.picture import decode, read_still
from tests.support.builders.pictures import (
    files_of_every_format,
    gradient,
    noise,
    png16,
    png_of,
    saved,
)

LIMIT = 1_000_000


def pixels_of(file: bytes) -> np.ndarray:
    return decode(file, max_pixels=LIMIT).pixels


@pytest.mark.parametrize("name", files_of_every_format())
def test_every_format_becomes_uint8_gray_or_rgb_of_its_own_size(name):
    picture = decode(files_of_every_format()[name], max_pixels=LIMIT)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.shape in {(30, 40), (30, 40, 3)}


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_eight_bit_pixels_are_not_changed(kind, options):
    picture = decode(saved(gradient(), kind, **options), max_pixels=LIMIT)
    assert np.array_equal(picture.pixels, np.asarray(gradient()))
    assert (picture.bits, picture.intensity) == (8, "none")


def test_a_jpeg_is_read_as_pillow_reads_it():
    file = saved(gradient(), "JPEG", quality=90)
    assert np.array_equal(pixels_of(file), np.asarray(Image.open(io.BytesIO(file))))


def test_gray_stays_one_channel():
    gray = gradient().convert("L")
    assert np.array_equal(pixels_of(saved(gray, "PNG")), np.asarray(gray))


def test_one_bit_becomes_black_and_white():
    picture = decode(saved(Image.fromarray(np.eye(9, dtype=bool)), "PNG"), max_pixels=LIMIT)
    assert np.array_equal(picture.pixels, np.eye(9, dtype=np.uint8) * 255)
    assert (picture.bits, picture.intensity) == (1, "none")


def test_a_palette_becomes_its_colours():
    indexed = gradient().quantize(7)
    assert np.array_equal(pixels_of(saved(indexed, "PNG")), np.asarray(indexed.convert("RGB")))


def test_cmyk_becomes_rgb():
    file = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    picture = decode(file, max_pixels=LIMIT)
    assert np.allclose(picture.pixels.astype(int), (255, 0, 0), atol=6)


@pytest.mark.parametrize(("mode", "over_black"), [("RGBA", (100, 50, 25)), ("LA", 100)])
def test_alpha_is_dropped_over_black(mode, over_black):
    colour = (200, 100, 50, 128) if mode == "RGBA" else (200, 128)
    pixels = pixels_of(saved(Image.new(mode, (3, 2), colour), "PNG"))
    assert np.allclose(pixels.astype(int), over_black, atol=1)
    assert pixels.ndim == (3 if mode == "RGBA" else 2)


def test_a_transparent_colour_of_a_palette_is_black():
    indexed = Image.new("P", (4, 4), 1)
    indexed.putpalette([0, 0, 0, 250, 240, 230])
    assert not pixels_of(saved(indexed, "PNG", transparency=1)).any()
    assert (pixels_of(saved(indexed, "PNG")) == (250, 240, 230)).all()


def test_a_transparent_gray_is_black():
    assert not pixels_of(saved(Image.new("L", (4, 4), 99), "PNG", transparency=99)).any()


@pytest.mark.parametrize(("kind", "orientation"), [*itertools.product(["JPEG", "TIFF", "PNG", "WEBP"], range(1, 9))])
def test_the_exif_orientation_is_applied_once(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(gradient(), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
    assert np.array_equal(pixels_of(file), np.asarray(upright.convert("RGB")))


def test_a_deep_gray_picture_is_turned_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000)
    assert pixels_of(saved(deep, "PNG", exif=exif)).shape == (4, 3)


def test_broken_exif_does_not_make_a_picture_unreadable():
    file = saved(gradient(), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff nothing here")
    assert np.array_equal(pixels_of(file), np.asarray(gradient()))


def test_sixteen_bit_gray_is_scaled_by_percentiles_and_says_so():
    values = np.linspace(1, 4000, 10_000).reshape(100, 100).astype(np.uint16)
    picture = decode(saved(Image.fromarray(values), "PNG"), max_pixels=LIMIT)
    assert (picture.bits, picture.intensity) == (16, "percentile-positive")
    assert picture.pixels.min() == 0
    assert picture.pixels.max() == 255
    assert abs(int(picture.pixels[50, 0]) - 128) <= 1


def tiff_of(values: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("dtype", "byteorder"),
    [*itertools.product(["uint16", "int16", "int32", "float32"], "<>"), ("uint32", "<")],
)
def test_deep_tiffs_of_one_kind_of_number_and_another_give_the_same_picture(dtype, byteorder):
    values = (np.arange(400).reshape(20, 20) * 7).astype(dtype)
    expected = pixels_of(saved(Image.fromarray((np.arange(400).reshape(20, 20) * 7).astype(np.uint16)), "PNG"))
    picture = decode(tiff_of(values, byteorder=byteorder), max_pixels=LIMIT)
    assert np.array_equal(picture.pixels, expected)
    assert picture.bits == np.dtype(dtype).itemsize * 8


def test_a_tiff_that_pillow_does_not_read_is_refused_by_name():
    with pytest.raises(UnsupportedImage):
        pixels_of(tiff_of(np.ones((4, 4), np.uint32), byteorder=">"))


def test_unsigned_thirty_two_bits_above_the_signed_range_stay_bright():
    values = np.array([[1, 2**31 + 5, 2**32 - 1]], np.uint32)
    assert list(pixels_of(tiff_of(values))[0]) == [0, 128, 255]


def test_a_sixteen_bit_tiff_where_zero_is_white_is_inverted():
    values = np.array([[0, 65535]], np.uint16)
    assert pixels_of(tiff_of(values, photometric="miniswhite"))[0, 0] == 255


def test_nan_in_a_float_tiff_is_black_and_the_rest_is_scaled():
    values = np.array([[np.nan, 1.0, 2.0, np.inf]], np.float32)
    pixels = pixels_of(tiff_of(values))
    assert pixels[0, 0] == 0
    assert pixels[0, 3] == 255


@pytest.mark.parametrize("make", [png16, tiff_of, lambda v: tiff_of(v, byteorder=">")], ids=["png", "tiff<", "tiff>"])
def test_sixteen_bit_colour_keeps_its_low_bytes(make):
    dim = np.arange(300, dtype=np.uint16).reshape(10, 10, 3) // 2 + 3  # high bytes all zero
    picture = decode(make(dim), max_pixels=LIMIT)
    expected = decode(saved(Image.fromarray(dim.reshape(10, 30)), "PNG"), max_pixels=LIMIT)
    assert np.array_equal(picture.pixels, expected.pixels.reshape(10, 10, 3))
    assert (picture.bits, picture.intensity) == (16, "percentile-positive")


def test_compressed_sixteen_bit_colour_is_read_like_uncompressed():
    values = np.random.default_rng(0).integers(0, 3000, (16, 16, 3)).astype(np.uint16)
    assert np.array_equal(pixels_of(tiff_of(values, compression="zlib")), pixels_of(tiff_of(values)))


@pytest.mark.parametrize("channels", [2, 4])
def test_sixteen_bit_alpha_is_dropped_over_black(channels):
    values = np.full((2, 2, channels), 40_000)
    values[0, 0, :-1] = 20_000
    values[..., -1] = 65_535
    values[1, 1, -1] = 0
    pixels = pixels_of(png16(values)).reshape(2, 2, -1)
    assert pixels[0, 1, 0] == 255
    assert pixels[0, 0, 0] < 255
    assert pixels[1, 1, 0] == 0


def test_a_photo_with_further_pictures_inside_is_read_as_its_first():
    second = Image.fromarray(noise(10, 10))
    file = saved(gradient(), "MPO", save_all=True, append_images=[second])
    assert pixels_of(file).shape == (30, 40, 3)


def test_two_bit_gray_fills_the_range():
    file = png_of((4, 1, 2, 0), b"\0" + bytes([0b00011011]))
    assert list(pixels_of(file)[0]) == [0, 85, 170, 255]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_gray_of_few_bits_is_black(bits):
    white, size, row = (1 << bits) - 1, (256 * 8 // bits, 1, bits, 0), bytes([0, *range(256)])
    shown = pixels_of(png_of(size, row))
    for number in {0, 1, white}:
        transparent = chunk(b"tRNS", struct.pack(">H", number))
        pixels = pixels_of(png_of(size, row, b"".join(transparent)))
        assert np.array_equal(pixels, np.where(shown == number * (255 // white), 0, shown))


def deep_png(values: np.ndarray, transparent: bytes) -> bytes:
    """A 16-bit PNG of gray or RGB with a transparent colour, which Pillow does not write."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2").reshape(height, -1))
    head = struct.pack(">IIBBBBB", width, height, 16, 0 if values.ndim == 2 else 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"tRNS", transparent), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return SIGNATURE + b"".join(b"".join(chunk(*part)) for part in parts)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
def test_a_transparent_colour_of_sixteen_bits_is_black(shape):
    values = np.random.default_rng(1).integers(1, 65536, shape).astype(np.uint16)
    values[4, 2:5] = values[0, 0]
    expected = values.copy()
    expected[0, 0] = expected[4, 2:5] = 0
    file = deep_png(values, values[:1, :1].astype(">u2").tobytes())
    assert np.array_equal(read_still(file, max_pixels=LIMIT).values, expected)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused_by_name(kind):
    pictures = [Image.fromarray(noise(12, 8, seed)) for seed in range(2)]
    with pytest.raises(UnsupportedImage, match="several pages or frames"):
        read_still(saved(pictures[0], kind, save_all=True, append_images=pictures[1:]), max_pixels=LIMIT)
