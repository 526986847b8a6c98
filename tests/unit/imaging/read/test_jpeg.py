"""JPEG by the short way: what Pillow makes of it, to the last bit, or left to Pillow."""

import importlib.resources
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin

from maskrelay.errors import ItemError
from maskrelay.imaging.read import picture as module
from maskrelay.imaging.read.jpeg import jpeg_pixels
from maskrelay.imaging.read.picture import decode
from tests.support.builders.pictures import gradient, noise, saved


def opened(file: bytes) -> JpegImagePlugin.JpegImageFile:
    return JpegImagePlugin.JpegImageFile(io.BytesIO(file))


def by_pillow(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def kinds() -> dict[str, bytes]:
    colour, gray = Image.fromarray(noise(45, 37)), Image.fromarray(noise(45, 37, channels=1))
    smooth = gradient(61, 33)
    named = {f"subsampled by {way}": saved(colour, "JPEG", quality=80, subsampling=way) for way in range(3)}
    return {
        **named,
        "progressive": saved(smooth, "JPEG", progressive=True),
        "optimized": saved(smooth, "JPEG", quality=97, optimize=True),
        "restarts": saved(colour, "JPEG", restart_marker_blocks=2),
        "no YCbCr": saved(colour, "JPEG", keep_rgb=True),
        "gray": saved(gray, "JPEG"),
        "gray, progressive": saved(gray, "JPEG", progressive=True),
        "one pixel": saved(Image.new("RGB", (1, 1), (9, 200, 77)), "JPEG"),
    }


@pytest.mark.parametrize("kind", kinds())
def test_a_sound_file_gives_pillows_pixels_to_the_last_bit(kind: str):
    file = kinds()[kind]
    pixels = jpeg_pixels(file, opened(file))
    assert pixels is not None
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, by_pillow(file))


@pytest.mark.parametrize("name", ["retina.jpg", "rocket.jpg", "hubble_deep_field.jpg"])
def test_a_photograph_gives_pillows_pixels_to_the_last_bit(name: str):
    file = (importlib.resources.files("skimage") / "data" / name).read_bytes()
    pixels = jpeg_pixels(file, opened(file))
    assert pixels is not None
    assert np.array_equal(pixels, by_pillow(file))


def test_cmyk_and_other_formats_are_left_to_pillow():
    cmyk, png = saved(gradient().convert("CMYK"), "JPEG"), saved(gradient(), "PNG")
    assert jpeg_pixels(cmyk, opened(cmyk)) is None
    assert jpeg_pixels(png, Image.open(io.BytesIO(png))) is None


@pytest.mark.parametrize("kind", ["gray", "progressive"])
def test_a_file_that_is_cut_is_left_to_pillow(kind: str):
    file = kinds()[kind]
    assert jpeg_pixels(file[:-60], opened(file)) is None


def test_a_file_of_another_size_than_was_found_acceptable_is_not_decoded(monkeypatch: pytest.MonkeyPatch):
    """Were a file two sizes to two readers, the larger would be set aside before it is known."""
    small, large = saved(gradient(8, 8), "JPEG"), saved(gradient(80, 8), "JPEG")
    monkeypatch.setattr("maskrelay.imaging.read.jpeg.decode_jpeg", lambda *_, **__: pytest.fail("it was decoded"))
    assert jpeg_pixels(large, opened(small)) is None


def test_a_turned_photograph_comes_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = saved(gradient(40, 30), "JPEG", exif=exif)
    assert np.array_equal(decode(file, max_pixels=10_000).pixels, np.rot90(by_pillow(file), -1))


def verdict(file: bytes) -> object:
    try:
        return decode(file, max_pixels=1_000_000).pixels.tobytes()
    except ItemError as error:
        return error.code


@given(st.sampled_from(sorted(kinds())), st.data())
def test_a_damaged_file_is_what_it_is_to_pillow_alone(kind: str, data: st.DataObject):
    file = bytearray(kinds()[kind])
    for _ in range(data.draw(st.integers(0, 3))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(file[: data.draw(st.integers(0, len(file)))]) if data.draw(st.booleans()) else bytes(file)
    both = verdict(cut)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "jpeg_pixels", lambda *_: None)
        assert verdict(cut) == both
