import json

import numpy as np
import pytest
from PIL import Image

from maskrelay.imaging.letterbox import LONGEST_SIDE, Letterbox, from_canvas, to_canvas
from tests.pictures import noise


def the_plain_way(pixels: np.ndarray) -> np.ndarray:
    """Pad to the square as a whole, then one call to Pillow."""
    height, width = pixels.shape[:2]
    box = Letterbox.of(width, height)
    square = np.zeros((box.side, box.side, *pixels.shape[2:]), np.uint8)
    square[box.top : box.top + height, box.left : box.left + width] = pixels
    canvas = Image.fromarray(square).resize((1024, 1024), Image.Resampling.BICUBIC).convert("RGB")
    return np.asarray(canvas)


SIZES = [(1024, 1024), (640, 480), (301, 1000), (1000, 301), (2048, 1537), (1, 1), (7, 2), (4096, 1), (1, 4096)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_canvas_is_pillows_bicubic_of_the_padded_square_bit_for_bit(width, height, channels):
    pixels = noise(width, height, channels=channels)
    assert np.array_equal(to_canvas(pixels, Letterbox.of(width, height)), the_plain_way(pixels))


def test_a_square_larger_than_one_strip_is_resized_bit_for_bit_too():
    pixels = noise(301, 5003)
    assert np.array_equal(to_canvas(pixels, Letterbox.of(301, 5003)), the_plain_way(pixels))


@pytest.mark.parametrize(("width", "height"), [(LONGEST_SIDE, 1), (1, LONGEST_SIDE)])
def test_the_longest_line_goes_there_and_back(width, height):
    box = Letterbox.of(width, height)
    canvas = to_canvas(np.full((height, width), 255, np.uint8), box)
    assert canvas.shape == (1024, 1024, 3)
    assert from_canvas(np.full((1024, 1024), 255, np.uint8), box).shape == (height, width)


def test_the_way_back_is_pillows_bilinear_of_the_whole_square_cropped():
    for width, height in SIZES:
        box = Letterbox.of(width, height)
        canvas = noise(1024, 1024, seed=width, channels=1)
        whole = Image.fromarray(canvas).resize((box.side, box.side), Image.Resampling.BILINEAR)
        crop = np.asarray(whole)[box.top : box.top + height, box.left : box.left + width]
        difference = np.abs(from_canvas(canvas, box).astype(int) - crop)
        assert difference.max() <= 1  # the part's corners are float32 in Pillow


def test_the_larger_half_of_an_odd_difference_is_right_or_below():
    wide, tall = Letterbox.of(10, 5), Letterbox.of(5, 10)
    assert (wide.left, wide.top, wide.right, wide.bottom, wide.side) == (0, 2, 0, 3, 10)
    assert (tall.left, tall.top, tall.right, tall.bottom, tall.side) == (2, 0, 3, 0, 10)


def test_the_record_goes_through_json_and_comes_back_the_same():
    box = Letterbox.of(1411, 17)
    assert Letterbox.of_record(json.loads(json.dumps(box.record()))) == box


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_the_way_back_keeps_the_dtype_and_full_maps_full(dtype):
    full = np.full((1024, 1024), 1, dtype)
    back = from_canvas(full, Letterbox.of(300, 201))
    assert back.dtype == dtype
    assert (back == 1).all()


def test_gray_and_the_same_gray_as_rgb_give_one_canvas():
    gray = noise(333, 222, channels=1)
    box = Letterbox.of(333, 222)
    assert np.array_equal(to_canvas(gray, box), to_canvas(np.repeat(gray[:, :, None], 3, axis=2), box))
