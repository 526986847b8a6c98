"""Laws of turning a stored slice into its picture and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maskrelay.contract.records.source_frames import Orientation
from maskrelay.imaging.orientation import turn_of, turned, unturned
from tests.support.builders.volumes import rotation

turns = st.builds(Orientation, transpose=st.booleans(), flip_rows=st.booleans(), flip_columns=st.booleans())
shapes = st.tuples(st.integers(1, 9), st.integers(1, 9)) | st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))
angles = st.floats(-180, 180)


@given(turn=turns, shape=shapes)
def test_there_and_back_is_where_it_was(turn, shape):
    pixels = np.arange(np.prod(shape)).reshape(shape)
    assert np.array_equal(unturned(turned(pixels, turn), turn), pixels)
    assert np.array_equal(turned(unturned(pixels, turn), turn), pixels)


@given(turn=turns)
def test_a_turn_transposes_first_and_then_flips(turn):
    pixels = np.arange(6).reshape(2, 3)
    expected = pixels.T if turn.transpose else pixels
    expected = np.flip(expected, [axis for axis, flip in enumerate((turn.flip_rows, turn.flip_columns)) if flip])
    assert np.array_equal(turned(pixels, turn), expected)


@given(x=angles, y=angles, z=angles, axis=st.integers(0, 2), mirrored=st.booleans())
def test_down_and_across_never_run_with_a_patient_axis(x, y, z, axis, mirrored):
    """Whatever the angle: down is towards the back or the feet, across towards the left or the back."""
    linear = rotation(x, y, z) * (0.5, 1.5, -3.0 if mirrored else 3.0)
    affine = tuple((*row, 0.0) for row in linear.tolist())
    turn = turn_of(affine, axis)
    first, second = (linear[:, other] for other in range(3) if other != axis)
    down, across = (second, first) if turn.transpose else (first, second)
    down, across = (-down if turn.flip_rows else down), (-across if turn.flip_columns else across)
    assert min(down[1], down[2]) < 1e-9
    assert min(across[0], across[1]) < 1e-9
