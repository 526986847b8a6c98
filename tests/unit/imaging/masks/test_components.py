import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from maskrelay.imaging.masks.components import count_components


def by_scipy(mask: np.ndarray) -> int:
    return int(ndimage.label(mask, np.ones((3, 3)))[1])


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14)))
def test_small_masks_have_as_many_pieces_as_scipy_finds(mask):
    assert count_components(mask) == by_scipy(mask)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.35, 0.5, 0.8])
def test_noisy_masks_have_as_many_pieces_as_scipy_finds(share):
    mask = np.random.default_rng(5).random((311, 457)) < share
    assert count_components(mask) == by_scipy(mask)


def test_a_spiral_is_one_piece():
    mask = np.zeros((101, 101), np.bool_)
    for ring in range(0, 50, 2):
        far = 100 - ring
        mask[ring, max(0, ring - 1) : far + 1] = mask[ring : far + 1, far] = mask[far, ring : far + 1] = True
        mask[ring + 2 : far + 1, ring] = True
    assert by_scipy(mask) == 1
    assert count_components(mask) == 1


def test_a_checkerboard_hangs_together_by_its_corners():
    assert count_components(np.indices((40, 40)).sum(axis=0) % 2 == 0) == 1


def test_the_end_of_a_row_does_not_touch_the_beginning_of_the_next():
    mask = np.zeros((4, 5), np.bool_)
    mask[0, 4] = mask[1, 0] = mask[2, 4] = mask[3, 0] = True
    assert count_components(mask) == 4


@given(st.integers(1, 30), st.integers(1, 30))
def test_nothing_has_no_piece_and_everything_one(height, width):
    assert count_components(np.zeros((height, width), np.bool_)) == 0
    assert count_components(np.ones((height, width), np.bool_)) == 1
