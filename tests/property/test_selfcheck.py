"""No sound mask fails its own check, whatever the size, the spacing and the shape."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maskrelay.contract.records.outcomes import SelfCheck
from maskrelay.imaging.canvas.letterbox import Letterbox, from_canvas
from maskrelay.imaging.masks.geometry_check import self_check
from maskrelay.imaging.masks.mask import Mask, foreground_rows
from maskrelay.imaging.masks.measures import measure

pytestmark = pytest.mark.slow_subject("imaging-laws")

lengths = st.integers(8, 4096)
sizes = st.tuples(lengths, lengths).filter(lambda size: size[0] * size[1] <= 1_500_000)
spacings = st.none() | st.tuples(*[st.floats(0.3, 3)] * 2)
shapes = st.tuples(st.floats(0, 1024), st.floats(0, 1024), st.floats(3, 300), st.floats(3, 300), st.floats(0, 3.2))
softness = st.sampled_from([0.05, 1, 3, 10])


def ellipse(shape: tuple[float, ...], softness: float) -> np.ndarray:
    """On the canvas: middle, two half axes, a turn; its edge is a logistic function so many pixels wide."""
    x, y, long, short, turn = shape
    down, across = np.ogrid[:1024, :1024]
    along = (across - x) * np.cos(turn) + (down - y) * np.sin(turn)
    aside = (down - y) * np.cos(turn) - (across - x) * np.sin(turn)
    distance = (np.hypot(along / long, aside / short) - 1) * min(long, short)
    return (255 / (1 + np.exp(np.clip(distance / softness, -40, 40)))).astype(np.uint8)


def checked(canvas: np.ndarray, box: Letterbox) -> SelfCheck:
    rows = foreground_rows(canvas)
    return self_check(canvas, rows, measure(Mask.of(from_canvas(canvas, box))), box)


@settings(max_examples=150, deadline=None)
@given(size=sizes, spacing=spacings, shape=shapes, softness=softness)
@example(size=(216, 120), spacing=None, shape=(500, 510, 230, 2.5, 0.4), softness=0.05)
def test_a_sound_mask_never_fails(size, spacing, shape, softness):
    box = Letterbox.of(*size, spacing=spacing)
    canvas = ellipse(shape, softness)
    assert checked(canvas, box).ok is not False


@settings(max_examples=60, deadline=None)
@given(size=sizes, spacing=spacings)
def test_padding_and_source_share_the_canvas_between_them(size, spacing):
    """A canvas full of foreground: what is not padding is the source's part, within a line on each side."""
    box = Letterbox.of(*size, spacing=spacing)
    canvas = np.full((1024, 1024), 255, np.uint8)
    check = checked(canvas, box)
    left, top, right, bottom = box.part()
    assert abs(1024 * 1024 - check.padding_px - (right - left) * (bottom - top)) <= right - left + bottom - top + 1
    assert check.ok is not False
