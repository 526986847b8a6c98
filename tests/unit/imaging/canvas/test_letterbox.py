import json
import math

import numpy as np
import pytest
from PIL import Image

from maskrelay.imaging.canvas.letterbox import (
    LONGEST_SIDE,
    Letterbox,
    from_canvas,
    part_from_canvas,
    to_canvas,
)
from maskrelay.imaging.masks.mask import foreground_rows
from tests.support.builders.pictures import noise


def the_plain_way(pixels: np.ndarray) -> np.ndarray:
    """Pad to the square as a whole, then one call to Pillow."""
    height, width = pixels.shape[:2]
    box = Letterbox.of(width, height)
    square = np.zeros((box.side, box.side, *pixels.shape[2:]), np.uint8)
    square[box.top : box.top + height, box.left : box.left + width] = pixels
    return np.asarray(Image.fromarray(square).resize((1024, 1024), Image.Resampling.BICUBIC))


def one_call_to_pillow(canvas: np.ndarray, box: Letterbox) -> np.ndarray:
    """The source's part of the whole canvas, bilinear."""
    scale = 1024 / box.side
    right, bottom = box.left + box.stretched_width, box.top + box.stretched_height
    part = (box.left * scale, box.top * scale, right * scale, bottom * scale)
    return np.asarray(Image.fromarray(canvas).resize((box.width, box.height), Image.Resampling.BILINEAR, box=part))


def blobs(seed: int, haze: int) -> np.ndarray:
    """A soft blob somewhere on the canvas, over a background of 0..haze."""
    random = np.random.default_rng(seed)
    middle, radius = random.uniform(100, 924, 2), random.uniform(3, 200)
    down, across = np.ogrid[:1024, :1024]
    distance = np.hypot(down - middle[0], across - middle[1])
    blob = (255 / (1 + np.exp(np.clip((distance - radius) / 5, -50, 50)))).astype(np.uint8)
    return np.maximum(blob, random.integers(0, haze + 1, (1024, 1024), np.uint8))


def near(canvas: np.ndarray, reference: np.ndarray) -> bool:
    """Within the tolerance of the contract."""
    difference = np.abs(canvas.astype(int) - reference)
    return canvas.shape == reference.shape and difference.max() <= 2 and difference.mean() <= 0.2


SIZES = [(1024, 1024), (640, 480), (301, 1000), (1000, 301), (2048, 1537), (1, 1), (7, 2), (4096, 1), (1, 4096)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_canvas_is_pillows_bicubic_of_the_padded_square_even_for_noise(width, height, channels):
    pixels = noise(width, height, channels=channels)
    assert near(to_canvas(pixels, Letterbox.of(width, height)), the_plain_way(pixels))


def test_a_square_larger_than_one_strip_is_resized_like_a_small_one():
    pixels = noise(301, 5003)
    assert near(to_canvas(pixels, Letterbox.of(301, 5003)), the_plain_way(pixels))


@pytest.mark.parametrize(("width", "height"), [(LONGEST_SIDE, 1), (1, LONGEST_SIDE)])
def test_the_longest_line_goes_there_and_back(width, height):
    box = Letterbox.of(width, height)
    canvas = to_canvas(np.full((height, width), 255, np.uint8), box)
    assert canvas.shape == (1024, 1024)
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


def test_a_record_from_before_stretching_is_a_letterbox_of_square_pixels():
    box = Letterbox.of(30, 21)
    old = {name: number for name, number in box.record().items() if not name.startswith("stretched")}
    assert Letterbox.of_record(old) == box


@pytest.mark.parametrize(
    ("size", "spacing", "stretched"),
    [
        ((512, 60), (5.0, 0.5), (512, 600)),
        ((60, 512), (0.5, 5.0), (600, 512)),
        ((1, 4096), (0.5, 5.0), (10, 4096)),
        ((1, 4096), (5.0, 0.5), (1, LONGEST_SIDE)),
        ((4096, 4096), (5.0, 0.5), (3277, LONGEST_SIDE)),
        ((301, 200), (0.8, 0.8), (301, 200)),
        ((10, 1), (0.01, 1.0), (1000, 1)),
        ((3, 3), (0.7, 0.5), (3, 4)),
    ],
)
def test_the_finer_spacing_keeps_its_pixels_and_the_other_gets_more(size, spacing, stretched):
    box = Letterbox.of(*size, spacing=spacing)
    assert (box.width, box.height) == size
    assert (box.stretched_width, box.stretched_height) == stretched
    assert box.side == max(stretched)


@pytest.mark.parametrize("spacing", [(0.0, 1.0), (-1.0, 2.0), (math.nan, 1.0), (math.inf, 1.0), (1e-300, 1e300)])
def test_a_spacing_that_cannot_be_true_stretches_nothing(spacing):
    assert Letterbox.of(30, 20, spacing=spacing) == Letterbox.of(30, 20)


@pytest.mark.parametrize(("size", "spacing"), [((300, 200), (1.0, 3.0)), ((999, 151), (4.0, 0.9)), ((40, 41), (1, 7))])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_stretched_canvas_is_pillows_bicubic_twice(size, spacing, channels):
    box = Letterbox.of(*size, spacing=spacing)
    small = noise(*(length // 8 for length in size), channels=channels) // 2 + 60  # bicubic overshoots stay in 0..255
    smooth = Image.fromarray(small).resize(size)
    stretched = smooth.resize((box.stretched_width, box.stretched_height), Image.Resampling.BICUBIC)
    assert near(to_canvas(np.asarray(smooth), box), the_plain_way(np.asarray(stretched)))


def test_a_stretched_canvas_has_true_proportions():
    """A disc of 20 mm in pixels of 0.5 × 2 mm is round on the canvas."""
    down, across = np.ogrid[:200, :60]
    disc = np.where(np.hypot((down - 99.5) * 0.5, (across - 29.5) * 2.0) <= 20, np.uint8(255), np.uint8(0))
    rows, columns = np.nonzero(to_canvas(disc, Letterbox.of(60, 200, spacing=(0.5, 2.0))) >= 128)
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 2 * 1024 / 240


def test_the_record_goes_through_json_and_comes_back_the_same():
    box = Letterbox.of(1411, 17)
    assert Letterbox.of_record(json.loads(json.dumps(box.record()))) == box


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("haze", [0, 3, 255])
@pytest.mark.parametrize("spacing", [None, (0.5, 1.7)])
def test_the_way_back_is_bit_for_bit_one_call_to_pillow(width, height, haze, spacing):
    box = Letterbox.of(width, height, spacing=spacing)
    canvas = blobs(width, haze)
    assert np.array_equal(from_canvas(canvas, box), one_call_to_pillow(canvas, box))


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [None, (0.5, 1.7), (2, 0.3)])
def test_the_foreground_alone_is_exact_and_the_rest_stays_below_it(width, height, seed, spacing):
    box = Letterbox.of(width, height, spacing=spacing)
    canvas = blobs(seed, 40)
    columns, part = part_from_canvas(canvas, foreground_rows(canvas), box)
    back, whole = np.zeros((height, width), np.uint8), one_call_to_pillow(canvas, box)
    back[:, columns] = part
    assert np.array_equal(back >= 128, whole >= 128)
    assert np.array_equal(back[back >= 128], whole[whole >= 128])


def test_gray_and_the_same_gray_as_rgb_give_one_canvas():
    gray = noise(333, 222, channels=1)
    box = Letterbox.of(333, 222)
    colour = to_canvas(np.repeat(gray[:, :, None], 3, axis=2), box)
    assert all(np.array_equal(to_canvas(gray, box), colour[..., channel]) for channel in range(3))


@pytest.mark.parametrize(
    ("size", "expected"), [((1024, 512), 512.0), ((4096, 8), 2.0), ((8, 4096), 2.0), ((32767, 1), 1024 / 32767)]
)
def test_the_thinner_side_is_known_in_pixels_of_the_canvas(size, expected):
    assert Letterbox.of(*size).thinnest() == pytest.approx(expected)
