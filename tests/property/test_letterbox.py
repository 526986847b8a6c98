"""Laws of the letterbox for every size from 1 to 4096."""

import json

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maskrelay.imaging.letterbox import Letterbox, from_canvas, to_canvas
from maskrelay.imaging.masks import threshold

PIXELS = 1_500_000  # enough for every shape; keeps one example in the milliseconds

lengths = st.one_of(st.integers(1, 4096), st.integers(1, 64), st.sampled_from([1, 2, 3, 1023, 1024, 1025, 4095, 4096]))
sizes = st.tuples(lengths, lengths).filter(lambda size: size[0] * size[1] <= PIXELS)

extremes = (
    example(size=(4096, 1)),
    example(size=(1, 4096)),
    example(size=(1, 1)),
    example(size=(1024, 1024)),
    example(size=(1023, 1024)),
    example(size=(4095, 366)),
    example(size=(2, 4095)),
)
quick = settings(max_examples=60, deadline=None)


def with_extremes(law):
    for extreme in extremes:
        law = extreme(law)
    return quick(given(size=sizes)(law))


def white(size: tuple[int, int]) -> np.ndarray:
    return np.full((size[1], size[0]), 255, np.uint8)


@given(size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)))
@settings(max_examples=500)
def test_pads_and_source_fill_the_square_and_are_alike_within_a_pixel(size):
    box = Letterbox.of(*size)
    assert box.left + box.width + box.right == box.side == box.top + box.height + box.bottom
    assert min(box.left + box.right, box.top + box.bottom) == 0
    assert 0 <= box.right - box.left <= 1
    assert 0 <= box.bottom - box.top <= 1


@given(size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)))
def test_a_record_brings_back_its_letterbox(size):
    box = Letterbox.of(*size)
    assert Letterbox.of_record(json.loads(json.dumps(box.record()))) == box


@with_extremes
def test_shapes_are_exact_both_ways(size):
    box = Letterbox.of(*size)
    canvas = to_canvas(white(size), box)
    assert canvas.shape == (1024, 1024)
    assert from_canvas(canvas, box).shape == (size[1], size[0])


@with_extremes
def test_a_full_map_comes_back_full(size):
    assert threshold(from_canvas(np.full((1024, 1024), 255, np.uint8), Letterbox.of(*size))).all()


@with_extremes
def test_an_empty_map_comes_back_empty(size):
    assert not from_canvas(np.zeros((1024, 1024), np.uint8), Letterbox.of(*size)).any()


@with_extremes
def test_the_padding_is_black_on_the_canvas(size):
    """Beyond the reach of the bicubic kernel nothing of the picture is seen."""
    outside = ~picture_on_canvas(Letterbox.of(*size), beyond=3)
    assert not to_canvas(white(size), Letterbox.of(*size))[outside].any()


@with_extremes
def test_what_lies_on_the_padding_labels_nothing(size):
    box = Letterbox.of(*size)
    padding = ~picture_on_canvas(box, beyond=1 + 1024 / box.side)
    assert not threshold(from_canvas(np.where(padding, np.uint8(255), np.uint8(0)), box)).any()


@quick
@given(size=sizes, corners=st.tuples(*[st.floats(0, 1)] * 4))
@example(size=(4096, 300), corners=(0.1, 0.2, 0.4, 0.9))
@example(size=(301, 4001), corners=(0.3, 0.3, 0.9, 0.6))
@example(size=(1024, 1024), corners=(0.1, 0.1, 0.7, 0.8))
def test_a_rectangle_comes_back_within_a_pixel(size, corners):
    """Drawn on the canvas to the nearest canvas pixel; a pixel is the coarser one of source and canvas."""
    width, height = size
    box = Letterbox.of(width, height)
    scale = 1024 / box.side
    left, right = sorted((round(corners[0] * width), round(corners[2] * width)))
    top, bottom = sorted((round(corners[1] * height), round(corners[3] * height)))
    if min(right - left, bottom - top) * max(1, scale) < 4 * max(1, 1 / scale):
        return  # too small to be seen on the coarser of both grids
    canvas = np.zeros((1024, 1024), np.uint8)
    canvas[
        round((top + box.top) * scale) : round((bottom + box.top) * scale),
        round((left + box.left) * scale) : round((right + box.left) * scale),
    ] = 255
    rows, columns = np.nonzero(threshold(from_canvas(canvas, box)))
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert np.abs(np.subtract(found, (left, top, right, bottom))).max() <= max(1.0, 1 / scale)


def test_a_canvas_sized_picture_is_not_changed_in_either_direction():
    pixels = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
    box = Letterbox.of(1024, 1024)
    assert np.array_equal(to_canvas(pixels, box), pixels)
    assert np.array_equal(from_canvas(pixels[..., 1], box), pixels[..., 1])


def picture_on_canvas(box: Letterbox, beyond: float) -> np.ndarray:
    """Canvas pixels that the source covers, and so many canvas pixels (or source pixels, if larger) around it."""
    scale = 1024 / box.side
    margin = beyond * max(1, scale)
    places = np.arange(1024) + 0.5
    across = (places > box.left * scale - margin) & (places < (box.left + box.width) * scale + margin)
    down = (places > box.top * scale - margin) & (places < (box.top + box.height) * scale + margin)
    return down[:, None] & across
