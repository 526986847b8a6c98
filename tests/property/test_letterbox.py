"""Laws of the letterbox for every size from 1 to 4096, of square pixels and of others."""

import json

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from maskrelay.imaging.canvas.letterbox import (
    LONGEST_SIDE,
    Letterbox,
    from_canvas,
    to_canvas,
)
from maskrelay.imaging.masks.mask import threshold

pytestmark = pytest.mark.slow_subject("imaging-laws")

PIXELS = 1_500_000  # enough for every shape; keeps one example in the milliseconds

lengths = st.one_of(st.integers(1, 4096), st.integers(1, 64), st.sampled_from([1, 2, 3, 1023, 1024, 1025, 4095, 4096]))
sizes = st.tuples(lengths, lengths).filter(lambda size: size[0] * size[1] <= PIXELS)

spacings = st.none() | st.tuples(*[st.floats(0.2, 5) | st.sampled_from([0.5, 1, 5])] * 2)
squares = None

extremes = (
    example(size=(4096, 1), spacing=squares),
    example(size=(1, 4096), spacing=squares),
    example(size=(1, 1), spacing=squares),
    example(size=(1024, 1024), spacing=squares),
    example(size=(1023, 1024), spacing=squares),
    example(size=(4095, 366), spacing=squares),
    example(size=(2, 4095), spacing=squares),
    example(size=(1, 4096), spacing=(0.5, 5)),
    example(size=(1, 4096), spacing=(5, 0.5)),
    example(size=(4096, 1), spacing=(0.5, 5)),
    example(size=(1, 1), spacing=(5, 0.5)),
    example(size=(512, 61), spacing=(5, 0.7)),
    example(size=(301, 4001), spacing=(1, 1.003)),
)
quick = settings(max_examples=60, deadline=None)


def with_extremes(law):
    for extreme in extremes:
        law = extreme(law)
    return quick(given(size=sizes, spacing=spacings)(law))


def white(size: tuple[int, int]) -> np.ndarray:
    return np.full((size[1], size[0]), 255, np.uint8)


@given(size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)), spacing=spacings)
@settings(max_examples=500)
def test_pads_and_source_fill_the_square_and_are_alike_within_a_pixel(size, spacing):
    box = Letterbox.of(*size, spacing=spacing)
    assert box.left + box.stretched_width + box.right == box.side == box.top + box.stretched_height + box.bottom
    assert min(box.left + box.right, box.top + box.bottom) == 0
    assert 0 <= box.right - box.left <= 1
    assert 0 <= box.bottom - box.top <= 1


@given(size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)), spacing=spacings)
@settings(max_examples=500)
def test_stretched_pixels_are_squares_within_half_a_pixel_of_either_side(size, spacing):
    box = Letterbox.of(*size, spacing=spacing)
    down, across = (size[1], size[0]) if spacing is None else (size[1] * spacing[0], size[0] * spacing[1])
    pixel = max(across, down) / box.side
    assert min(box.stretched_width, box.stretched_height) >= 1
    assert box.side <= LONGEST_SIDE
    assert abs(across / pixel - box.stretched_width) <= 1
    assert abs(down / pixel - box.stretched_height) <= 1


@given(size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)), spacing=spacings)
def test_a_record_brings_back_its_letterbox(size, spacing):
    box = Letterbox.of(*size, spacing=spacing)
    assert Letterbox.of_record(json.loads(json.dumps(box.record()))) == box


@with_extremes
def test_shapes_are_exact_both_ways(size, spacing):
    box = Letterbox.of(*size, spacing=spacing)
    canvas = to_canvas(white(size), box)
    assert canvas.shape == (1024, 1024)
    assert from_canvas(canvas, box).shape == (size[1], size[0])


@with_extremes
def test_a_full_map_comes_back_full(size, spacing):
    box = Letterbox.of(*size, spacing=spacing)
    assert threshold(from_canvas(np.full((1024, 1024), 255, np.uint8), box)).all()


@with_extremes
def test_an_empty_map_comes_back_empty(size, spacing):
    assert not from_canvas(np.zeros((1024, 1024), np.uint8), Letterbox.of(*size, spacing=spacing)).any()


@with_extremes
def test_the_padding_is_black_on_the_canvas(size, spacing):
    """Beyond the reach of the bicubic kernel nothing of the picture is seen."""
    box = Letterbox.of(*size, spacing=spacing)
    outside = ~picture_on_canvas(box, beyond=3 * max(1, 1024 / box.side))
    assert not to_canvas(white(size), box)[outside].any()


@with_extremes
def test_what_lies_on_the_padding_labels_nothing(size, spacing):
    """Every canvas pixel that the source does not touch is foreground, up to the source's very edge."""
    box = Letterbox.of(*size, spacing=spacing)
    padding = ~picture_on_canvas(box, beyond=0.5)
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


corners = st.tuples(*[st.floats(0, 1)] * 4)


def with_rectangles(law):
    for size, spacing in [((1411, 1001), squares), ((512, 61), (5, 0.7)), ((301, 4001), (0.7, 0.9))]:
        law = example(size=size, spacing=spacing, corners=(0.1, 0.2, 0.7, 0.6))(law)
    return quick(given(size=sizes, spacing=spacings, corners=corners)(law))


def rectangle(size: tuple[int, int], box: Letterbox, corners: tuple[float, ...]) -> np.ndarray:
    """A mask with a rectangle of at least four pixels of the coarser of source and canvas, wherever there is room."""
    mask = np.zeros((size[1], size[0]), np.bool_)
    places = []
    for length, pixel, first, last in zip(size, per_canvas_pixel(box), corners[:2], corners[2:], strict=True):
        least = int(np.ceil(4 * max(1, pixel)))
        assume(least <= length)
        start = round(first * (length - least))
        places.append(slice(start, start + least + round(last * (length - least - start))))
    mask[places[1], places[0]] = True
    return mask


def per_canvas_pixel(box: Letterbox) -> tuple[float, float]:
    """Source pixels that a canvas pixel covers, across and down."""
    across, down = box.scales()
    return 1 / across, 1 / down


def there_and_back(mask: np.ndarray, box: Letterbox) -> np.ndarray:
    """Drawn in the source, and the canvas that it gives taken for the probability map."""
    return threshold(from_canvas(to_canvas(np.where(mask, np.uint8(255), np.uint8(0)), box), box))


def assert_near(found: np.ndarray, mask: np.ndarray, box: Letterbox) -> None:
    """Centroid and bounding box lie within half a source pixel, or an eighth of a canvas pixel where that is more.

    The edge of an area-averaged step between two canvas pixels is found by a straight line: at worst 0.07 canvas
    pixels off. Both edges may move the same way, by whole source pixels, and the centroid with them.
    """
    places, expected = np.nonzero(found), np.nonzero(mask)
    assert places[0].size
    for axis, pixel in zip((1, 0), per_canvas_pixel(box), strict=True):
        bound = max(0.5, pixel / 8)
        edge = 0 if bound == 0.5 else int(bound + 0.5)  # whole pixels: one whose middle lies that near may be either
        assert abs(places[axis].mean() - expected[axis].mean()) <= max(bound, edge)
        assert abs(places[axis].min() - expected[axis].min()) <= edge
        assert abs(places[axis].max() - expected[axis].max()) <= edge


@with_rectangles
@example(size=(30, 4096), spacing=(0.5, 5), corners=(0.2, 0.4, 0.5, 0.5))
@example(size=(3918, 56), spacing=(1, 2), corners=(0.2, 0.88, 0.5, 0.0))  # 7.7 source pixels a canvas pixel
def test_a_mask_drawn_in_the_source_comes_back_within_half_a_source_pixel(size, spacing, corners):
    box = Letterbox.of(*size, spacing=spacing)
    mask = rectangle(size, box, corners)
    assert_near(there_and_back(mask, box), mask, box)


TURNS = {"rows": lambda one: one[::-1], "columns": lambda one: one[:, ::-1], "both": lambda one: one[::-1, ::-1]}


@pytest.mark.parametrize("turn", TURNS)
@with_rectangles
def test_a_flipped_source_gives_the_flipped_mask(turn, size, spacing, corners):
    box = Letterbox.of(*size, spacing=spacing)
    mask = rectangle(size, box, corners)
    assert_near(TURNS[turn](there_and_back(np.ascontiguousarray(TURNS[turn](mask)), box)), mask, box)


@with_rectangles
def test_a_transposed_source_gives_the_transposed_mask(size, spacing, corners):
    box = Letterbox.of(*size, spacing=spacing)
    mask = rectangle(size, box, corners)
    turned = Letterbox.of(*size[::-1], spacing=spacing and spacing[::-1])
    back = there_and_back(np.ascontiguousarray(mask.T), turned).T
    assert_near(back, mask, box)


def picture_on_canvas(box: Letterbox, beyond: float) -> np.ndarray:
    """The canvas pixels whose middle the source covers, and so many canvas pixels around them."""
    left, top, right, bottom = box.part()
    places = np.arange(1024) + 0.5
    across = (places > left - beyond) & (places < right + beyond)
    down = (places > top - beyond) & (places < bottom + beyond)
    return down[:, None] & across
