import numpy as np
import pytest

from maskrelay.contract.records.source_frames import Window
from maskrelay.imaging.intensity.presets import window_of
from maskrelay.imaging.intensity.window import to_bytes
from maskrelay.imaging.plane import Plane


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


#: Of the published code (BiomedParse, `CT_WINDOWS`).
CT_SITES = {
    "abdomen": [-150, 250],
    "lung": [-1000, 1000],
    "pelvis": [-55, 200],
    "liver": [-25, 230],
    "colon": [-68, 187],
    "pancreas": [-100, 200],
}


def published(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """`process_intensity_image` from the clip to the scaling, with the numbers' own types."""
    clipped = np.clip(values, low, high)
    return (clipped - clipped.min()) / (clipped.max() - clipped.min()) * 255.0


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "float64"])
@pytest.mark.parametrize("site", CT_SITES)
def test_a_ct_window_is_the_published_formula_rounded_half_up_for_every_value(site, dtype):
    values = np.arange(-1200, 1300).astype(dtype).reshape(50, 50)
    window = window_of(f"ct-{site}", lambda: iter(()))
    pixels, name = to_bytes(Plane(values, 16), window)
    assert np.array_equal(pixels, np.floor(published(values, *CT_SITES[site]) + 0.5))
    assert name == f"ct-{site}"


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "float64"])
@pytest.mark.parametrize("preset", ["percentile-positive", "percentile-all"])
def test_a_percentile_window_over_a_volume_is_the_published_formula(preset, dtype):
    volume = np.random.default_rng(2).normal(400, 300, (6, 40, 30)).clip(0 if dtype[0] == "u" else -2000).astype(dtype)
    window = window_of(preset, lambda: (Plane(one, 16) for one in volume))
    counted = volume[volume > 0] if preset == "percentile-positive" else volume
    expected = published(volume, *np.percentile(counted, (0.5, 99.5)))
    pixels = np.stack([to_bytes(Plane(one, 16), window)[0] for one in volume])
    assert np.array_equal(pixels, np.floor(expected + 0.5))


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "float32", "float64"]
)
def test_the_same_values_give_the_same_bytes_in_every_type(dtype):
    values = np.arange(100).reshape(10, 10)
    window = Window(name="w", low=10.25, high=80.5)
    expected = np.floor(np.clip((values - 10.25) / 70.25 * 255, 0, 255) + 0.5)
    assert np.array_equal(to_bytes(Plane(values.astype(dtype), 16), window)[0], expected)


def test_negative_values_of_sixteen_bits_find_their_place_in_the_table():
    values = np.array([[-32768, -1000, -1, 0, 1, 32767]], np.int16)
    pixels, _ = to_bytes(Plane(values, 16), Window(name="w", low=-1000, high=1))
    assert list(pixels[0]) == [0, 0, 254, 255, 255, 255]


def test_eight_bits_stay_as_they_are_unless_a_window_is_asked_for():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(to_bytes(Plane(values, 8), None)[0], values)
    assert np.array_equal(to_bytes(Plane(values.astype(np.uint16), 8), None)[0], values)
    assert to_bytes(Plane(values, 8), None)[1] == "none"
    pixels, name = to_bytes(Plane(values, 8), Window(name="w", low=100, high=101))
    assert (pixels == np.where(values > 100, 255, 0)).all()
    assert name == "w"


def test_signed_bytes_are_scaled():
    assert to_bytes(Plane(np.array([[-100, 100]], np.int8), 8), None)[1] != "none"


def test_an_inverted_plane_is_inverted_after_its_window_and_padding_is_black():
    padding = np.array([[True, False, False]])
    values = np.array([[0, 0, 1000]], np.int16)
    window = Window(name="w", low=0, high=1000)
    assert list(to_bytes(Plane(values, 16, inverted=True, padding=padding), window)[0][0]) == [0, 255, 0]
    assert list(to_bytes(Plane(values, 16, padding=padding), Window(name="w", low=-1, high=0))[0][0]) == [0, 255, 255]


def test_padding_is_black_on_bytes_and_colours_too_and_the_plane_is_left_alone():
    padding = np.array([[True, False]])
    for values in (np.full((1, 2), 9, np.uint8), np.full((1, 2, 3), 9, np.uint8)):
        pixels, _ = to_bytes(Plane(values, 8, padding=padding), None)
        assert not pixels[0, 0].any()
        assert (pixels[0, 1] == 9).all()
        assert (values == 9).all()


def test_padding_does_not_count_for_a_frames_own_percentiles():
    values = np.concatenate((np.full(1000, 30_000), np.arange(1, 1001))).astype(np.int16).reshape(2, 1000)
    pixels, _ = to_bytes(Plane(values, 16, padding=values == 30_000), None)
    assert np.array_equal(pixels[1], scaled_to_bytes(values[1])[0])


def test_no_number_is_black_in_an_inverted_plane_too():
    values = np.array([[np.nan, 0.0, 1.0]])
    assert list(to_bytes(Plane(values, 64, inverted=True), Window(name="w", low=0, high=1))[0][0]) == [0, 255, 0]


def test_a_window_without_width_is_black():
    assert not to_bytes(Plane(np.arange(9).reshape(3, 3), 64), Window(name="constant", low=4, high=4))[0].any()
