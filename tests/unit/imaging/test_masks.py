import numpy as np

from maskrelay.imaging.masks import threshold


def test_foreground_begins_at_one_hundred_and_twenty_eight():
    mask = threshold(np.array([[0, 127, 128, 255]], np.uint8))
    assert mask.dtype == np.bool_
    assert list(mask[0]) == [False, False, True, True]
