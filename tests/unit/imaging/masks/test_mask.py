import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from maskrelay.imaging.masks.mask import Mask, threshold

maps = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.sampled_from([0, 127, 128, 255]))


def test_foreground_begins_at_one_hundred_and_twenty_eight():
    mask = threshold(np.array([[0, 127, 128, 255]], np.uint8))
    assert mask.dtype == np.bool_
    assert list(mask[0]) == [False, False, True, True]


@given(maps)
def test_a_mask_is_its_bounding_box_and_nothing_else(probability):
    mask, found = Mask.of(probability), probability >= 128
    assert mask.size == found.shape
    assert np.array_equal(mask.whole(), found)
    assert np.array_equal(mask.probability, probability[mask.window])
    if found.any():
        assert all(mask.inside.any(axis=axis)[[0, -1]].all() for axis in (0, 1))
    else:
        assert mask.inside.shape == found.shape


@given(maps.filter(lambda probability: (probability >= 128).any()), st.integers(0, 5), st.integers(0, 5))
def test_of_some_columns_the_mask_is_that_of_the_frame(probability, left, right):
    frame = np.pad(probability, ((0, 0), (left, right)))
    some, whole = Mask.of(probability, width=frame.shape[1], left=left), Mask.of(frame)
    assert (some.size, some.window) == (whole.size, whole.window)
    assert np.array_equal(some.inside, whole.inside)
    assert np.array_equal(some.probability, whole.probability)
