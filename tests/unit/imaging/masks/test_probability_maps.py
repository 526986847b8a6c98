import numpy as np
import pytest

from maskrelay.contract.wire.image2d import MapStack
from maskrelay.errors import AnswerInvalid
from maskrelay.imaging.masks.mask import threshold
from maskrelay.imaging.masks.probability_maps import probabilities


def stack_of(*values, dtype):
    """One map for each list of values, which repeat to fill it."""
    maps = np.stack([np.resize(np.array(one, dtype), (1024, 1024)) for one in values])
    return MapStack(maps.tobytes(), maps.shape, dtype)


def test_bytes_are_taken_as_they_are():
    maps, flags = probabilities(stack_of([0, 127, 128, 255], [9, 200], dtype="uint8"), "probability")
    assert maps.shape == (2, 1024, 1024)
    assert list(maps[0, 0, :4]) == [0, 127, 128, 255]
    assert list(maps[1, 0, :2]) == [9, 200]
    assert flags == [[], []]


def test_zeros_and_ones_declared_as_probabilities_stay_empty_and_are_flagged():
    maps, flags = probabilities(stack_of([0, 0, 1], [0], [0, 1, 2], dtype="uint8"), "probability")
    assert flags == [["max_le_1"], ["max_le_1"], []]
    assert not threshold(maps).any()


def test_ones_declared_as_foreground_are_foreground():
    maps, flags = probabilities(stack_of([0, 1], [0], dtype="uint8"), "binary01")
    assert list(maps[0, 0, :2]) == [0, 255]
    assert not maps[1].any()
    assert flags == [[], []]


@pytest.mark.parametrize("encoding", ["probability", "binary01"])
def test_booleans_are_all_or_nothing_under_either_encoding(encoding):
    maps, flags = probabilities(stack_of([True, False], dtype="bool"), encoding)
    assert list(maps[0, 0, :2]) == [255, 0]
    assert flags == [[]]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_float_is_foreground_exactly_from_one_half_on(dtype):
    kind = np.dtype(dtype).type
    half = kind(0.5)
    values = [0, 1, half, np.nextafter(half, kind(0)), np.nextafter(half, kind(1)), 0.25]
    maps, _ = probabilities(stack_of(values, dtype=dtype), "probability")
    assert list(maps[0, 0, :6]) == [0, 255, 128, 127, 128, 64]


def test_every_float16_between_zero_and_one_falls_on_its_side_of_the_threshold():
    values = np.arange(0x3C01, dtype=np.uint16).view(np.float16)
    maps, _ = probabilities(stack_of(values, dtype="float16"), "probability")
    assert np.array_equal(threshold(maps[0].ravel()[: values.size]), values >= 0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.01, 1.01, 255])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_float_outside_zero_to_one_breaks_the_contract(value, dtype):
    with pytest.raises(AnswerInvalid) as refusal:
        probabilities(stack_of([0.5, value], dtype=dtype), "probability")
    assert refusal.value.kind == "values"


@pytest.mark.parametrize(("values", "dtype"), [([0, 1, 255], "uint8"), ([0, 0.5], "float32"), ([np.nan], "float16")])
def test_another_value_than_declared_breaks_the_contract(values, dtype):
    with pytest.raises(AnswerInvalid):
        probabilities(stack_of(values, dtype=dtype), "binary01")
