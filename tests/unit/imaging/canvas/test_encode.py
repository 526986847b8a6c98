import io

import numpy as np
import pytest
from PIL import Image

from maskrelay.imaging.canvas.encode import CanvasCoding, canvas_png, encode_canvas
from tests.support.builders.pictures import noise


def opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


@pytest.mark.parametrize("gray", [False, True])
def test_a_colour_canvas_is_sent_as_an_rgb_png_of_its_exact_pixels(gray):
    canvas = noise(1024, 1024)
    image = opened(canvas_png(canvas, gray=gray))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (1024, 1024))
    assert np.array_equal(np.asarray(image), canvas)


def test_a_gray_canvas_is_sent_as_rgb_of_three_equal_channels():
    canvas = noise(1024, 1024, channels=1)
    image = opened(canvas_png(canvas))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (1024, 1024))
    assert np.array_equal(np.asarray(image), np.repeat(canvas[:, :, None], 3, axis=2))


def test_a_gray_canvas_stays_gray_where_that_is_allowed():
    canvas = noise(1024, 1024, channels=1)
    image = opened(canvas_png(canvas, gray=True))
    assert (image.mode, image.size) == ("L", (1024, 1024))
    assert np.array_equal(np.asarray(image), canvas)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("gray", [False, True])
def test_a_small_png_has_the_same_pixels_in_fewer_bytes(gray, channels):
    canvas = noise(64, 64, channels=channels).repeat(16, axis=0).repeat(16, axis=1)
    usual, small = (encode_canvas(canvas, CanvasCoding(gray=gray, small=small)) for small in (False, True))
    assert len(small) < len(usual)
    assert opened(small).mode == opened(usual).mode
    assert np.array_equal(np.asarray(opened(small)), np.asarray(opened(usual)))
