import numpy as np
import pytest

from maskrelay.imaging.plane import Plane
from maskrelay.imaging.windowing import to_bytes


def scaled_to_bytes(values: np.ndarray) -> tuple[np.ndarray, str]:
    return to_bytes(Plane(values, 16), None)


def by_the_papers_code(values: np.ndarray) -> np.ndarray:
    """Clip to the percentiles of what is above 0, then min-max to 0..255, before any rounding."""
    low, high = (np.percentile(values[values > 0], share) for share in (0.5, 99.5))
    clipped = np.clip(values.astype(np.float64), low, high)
    return (clipped - clipped.min()) / (clipped.max() - clipped.min()) * 255.0


@pytest.mark.parametrize("dtype", ["uint16", "int32", "uint32", "float32"])
def test_it_is_the_papers_formula_rounded_half_up(dtype):
    values = np.random.default_rng(1).gamma(2, 300, (64, 48)).astype(dtype)
    values[:20] = 0
    scaled, name = scaled_to_bytes(values)
    assert np.array_equal(scaled, np.floor(by_the_papers_code(values) + 0.5))
    assert name == "percentile-positive"


def test_pixels_at_or_below_zero_do_not_move_the_percentiles():
    values = np.arange(1, 1001, dtype=np.float32)
    padded = np.concatenate((np.full(5000, -1000, np.float32), np.zeros(5000, np.float32), values))
    assert np.array_equal(scaled_to_bytes(padded)[0][10_000:], scaled_to_bytes(values)[0])
    assert not scaled_to_bytes(padded)[0][:10_000].any()


def test_without_a_positive_pixel_all_pixels_count_and_the_name_says_so():
    scaled, name = scaled_to_bytes(np.linspace(-1000, -1, 1000).reshape(10, 100))
    assert name == "percentile-all"
    assert scaled[0, 0] == 0
    assert scaled[-1, -1] == 255


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_a_constant_image_is_black(value):
    scaled, name = scaled_to_bytes(np.full((4, 4), value, np.uint16))
    assert not scaled.any()
    assert name == "constant"


def test_a_single_value_on_zero_becomes_black_and_white():
    scaled, name = scaled_to_bytes(np.array([[0, 0, 1000]], np.uint16))
    assert list(scaled[0]) == [0, 0, 255]
    assert name == "min-max"


def test_nan_and_infinities_neither_count_nor_spread():
    values = np.linspace(1, 100, 1000)
    odd = np.concatenate((values, [np.nan, np.inf, -np.inf]))
    scaled, _ = scaled_to_bytes(odd)
    assert np.array_equal(scaled[:1000], scaled_to_bytes(values)[0])
    assert list(scaled[1000:]) == [0, 255, 0]


def test_nothing_finite_is_black():
    scaled, name = scaled_to_bytes(np.array([[np.nan, np.inf]]))
    assert list(scaled[0]) == [0, 0]
    assert name == "constant"
