import numpy as np
import pytest

from maskrelay.imaging.intensity.volume_percentiles import volume_window
from maskrelay.imaging.plane import Plane

POSITIVE, EVERY = "percentile-positive", "percentile-all"


def walked(*values, **options):
    return lambda: (Plane(np.asarray(one), 16, **options) for one in values)


def limits(name, planes):
    window = volume_window(name, planes)
    return window.name, window.low, window.high


def test_where_nothing_is_above_zero_all_values_count():
    below = np.linspace(-1000, 0, 1001)
    assert limits(POSITIVE, walked(below)) == ("percentile-all", -995, -5)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_percentiles_on_one_value_become_the_whole_range(dtype):
    values = np.array([-7] + [5] * 1000 + [9], dtype)
    assert limits(EVERY, walked(values)) == ("min-max", -7, 9)
    assert limits(POSITIVE, walked(values[:-1])) == ("min-max", -7, 5)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
def test_one_value_alone_is_constant(dtype):
    assert limits(POSITIVE, walked(np.full(50, 3, dtype), np.full(7, 3, dtype))) == ("constant", 3, 3)


@pytest.mark.parametrize("planes", [walked(), walked([np.nan, np.inf, -np.inf]), walked(np.zeros(0, np.int16))])
def test_without_a_value_it_is_constant(planes):
    assert limits(POSITIVE, planes) == ("constant", 0, 0)


def test_what_is_not_finite_or_padding_does_not_count():
    values = np.arange(1001.0)
    odd = np.concatenate((values, [np.nan, np.inf, -np.inf]))
    assert limits(EVERY, walked(odd)) == limits(EVERY, walked(values)) == ("percentile-all", 5, 995)
    padded = np.concatenate((values, np.full(500, 5000.0)))
    assert limits(EVERY, walked(padded, padding=padded == 5000)) == ("percentile-all", 5, 995)


def test_both_zeros_are_not_above_zero():
    values = np.concatenate((np.full(500, -0.0), np.zeros(500), np.arange(1.0, 1002.0)))
    assert limits(POSITIVE, walked(values)) == ("percentile-positive", 6, 996)


def test_the_smallest_number_above_zero_is_above_zero():
    tiny = np.nextafter(0.0, 1.0)
    assert limits(POSITIVE, walked(np.array([0.0, -1.0, tiny]))) == ("min-max", -1.0, tiny)


def test_planes_of_different_types_are_counted_together():
    parts = [
        np.arange(-50, 50, dtype=np.int8),
        np.arange(300, dtype=np.uint16),
        np.linspace(-9, 9, 77, dtype=np.float32),
    ]
    low, high = np.percentile(np.concatenate([part.astype(np.float64) for part in parts]), (0.5, 99.5))
    for order in (parts, parts[::-1]):
        assert limits(EVERY, walked(*order)) == ("percentile-all", low, high)


@pytest.mark.parametrize(("dtype", "walks"), [("uint8", 1), ("int16", 1), ("int32", 2), ("float32", 2), ("float64", 4)])
def test_the_planes_are_walked_no_more_often_than_their_type_needs(dtype, walks):
    begun = []

    def planes():
        begun.append(1)
        for start in range(3):
            yield Plane(np.arange(start, 100 + start).astype(dtype), 16)

    volume_window(EVERY, planes)
    assert len(begun) == walks


def test_colours_count_channel_by_channel():
    values = np.arange(3000, dtype=np.uint16).reshape(10, 100, 3)
    assert limits(EVERY, walked(values)) == ("percentile-all", *np.percentile(values, (0.5, 99.5)))
    padding = np.zeros((10, 100), bool)
    padding[5:] = True
    assert limits(EVERY, walked(values, padding=padding))[1:] == tuple(np.percentile(values[:5], (0.5, 99.5)))
