"""The self-check of a mask's place: quiet where all is right, loud where a mask was moved."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from maskrelay.imaging.canvas.letterbox import Letterbox, from_canvas, to_canvas
from maskrelay.imaging.masks.geometry_check import self_check
from maskrelay.imaging.masks.mask import foreground_rows, threshold
from maskrelay.imaging.masks.measures import measure
from tests.support.builders.masks import mask_of


def shape(height: int, width: int) -> np.ndarray:
    """Nothing symmetric: an L in the upper left."""
    drawn = np.zeros((height, width), bool)
    drawn[height // 8 : height // 2, width // 8 : width // 4] = True
    drawn[height // 3 : height // 2, width // 8 : width // 2] = True
    return drawn


def on_canvas(drawn: np.ndarray, box: Letterbox) -> np.ndarray:
    return to_canvas(drawn.astype(np.uint8) * np.uint8(255), box)


def checked(canvas: np.ndarray, mask: np.ndarray, box: Letterbox):
    return self_check(canvas, foreground_rows(canvas), measure(mask_of(mask)), box)


@given(st.integers(40, 700), st.integers(40, 700), st.sampled_from([None, (1.0, 2.5), (3.0, 0.7)]))
@example(889, 40, None)  # a thin limb is wider on the canvas: the centroid moves, the box does not
def test_a_mask_that_came_back_right_is_never_called_wrong(height, width, spacing):
    box = Letterbox.of(width, height, spacing=spacing)
    canvas = on_canvas(shape(height, width), box)
    check = checked(canvas, threshold(from_canvas(canvas, box)), box)
    assert check.ok is not False  # None: too thin to say
    if spacing is None and min(height, width) >= 300:
        assert check.ok
    assert check.padding_px == 0


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param(lambda mask: mask[:, ::-1], id="columns flipped"),
        pytest.param(lambda mask: mask[::-1], id="rows flipped"),
        pytest.param(lambda mask: mask.T, id="transposed"),
        pytest.param(lambda mask: np.roll(mask, 1, axis=1), id="a column to the right"),
        pytest.param(lambda mask: np.roll(mask, -1, axis=0), id="a row up"),
    ],
)
def test_a_mask_that_was_moved_is_found_out_where_the_canvas_is_the_source(moved):
    box = Letterbox.of(1024, 1024)
    drawn = shape(1024, 1024)
    assert checked(on_canvas(drawn, box), drawn, box).ok
    assert checked(on_canvas(drawn, box), moved(drawn), box).ok is False


def test_a_wrong_pad_is_found_out():
    box = Letterbox.of(300, 700)
    canvas = on_canvas(shape(700, 300), box)
    wrong = replace(box, left=box.left + 2, right=box.right - 2)
    assert checked(canvas, threshold(from_canvas(canvas, wrong)), box).ok is False


def test_foreground_in_the_padding_is_counted_and_an_empty_mask_is_not_judged():
    box = Letterbox.of(512, 1024)
    canvas = np.zeros((1024, 1024), np.uint8)
    canvas[100:110, :50] = 255
    check = checked(canvas, threshold(from_canvas(canvas, box)), box)
    assert (check.padding_px, check.ok, check.shift_px) == (500, None, None)
