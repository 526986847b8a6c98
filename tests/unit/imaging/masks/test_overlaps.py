"""Masks that overlap, made into labels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maskrelay.imaging.masks.mask import Mask
from maskrelay.imaging.masks.overlaps import labels_of, overlaps_of
from tests.support.builders.masks import mask_of


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_a_pixel_goes_to_the_most_probable_of_its_prompts_and_of_equals_to_the_first(count, seed):
    rng = np.random.default_rng(seed)
    probabilities = [rng.integers(120, 136, (6, 7), np.uint8) for _ in range(count)]
    found = [Mask.of(probability) for probability in probabilities]
    overlaps = overlaps_of(found)
    labels, masks = labels_of(found, overlaps), [mask.whole() for mask in found]
    winner = np.argmax([np.where(mask, one, 0) for mask, one in zip(masks, probabilities, strict=True)], axis=0)
    shared = np.sum(masks, axis=0) > 1
    overlapping = {number for overlap in overlaps for number in overlap.numbers}
    for number, (mask, label) in enumerate(zip(masks, labels, strict=True)):
        assert (number in overlapping) == (label is not None) == bool((mask & shared).any())
        if label is not None:
            assert np.array_equal(label.whole(), mask & (winner == number))


def test_masks_apart_are_left_alone():
    one, other = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    one[:3, :3] = other[4:, 4:] = True
    masks = [mask_of(one), mask_of(other)]
    assert overlaps_of(masks) == []
    assert labels_of(masks, ()) == [None, None]
