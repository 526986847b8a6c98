"""What is said of a picture's masks beyond what they measure."""

import numpy as np

from maskrelay.contract.wire.image2d import MapStack, RowAnswer
from maskrelay.imaging.frame_pixels import draw, prepare
from tests.support.builders.pictures import gradient, saved


def flags_of(width: int, height: int) -> tuple[str, ...]:
    """Of an empty mask of a picture of this size."""
    prepared = prepare(saved(gradient(width, height), "PNG"), ("a",), max_pixels=10_000_000)
    maps = MapStack(np.full((1, 1024, 1024), 2, np.uint8).tobytes(), (1, 1024, 1024), "uint8")
    [mask] = draw(prepared, RowAnswer(maps, (None,), ()), "probability", ("mask",)).masks
    return mask.measures.flags


def test_an_empty_mask_of_a_picture_too_thin_to_be_seen_says_so():
    assert flags_of(3000, 5) == flags_of(5, 3000) == ("empty", "too_thin")


def test_an_empty_mask_of_a_picture_that_can_be_seen_is_just_empty():
    assert flags_of(3000, 20) == flags_of(300, 200) == flags_of(1, 1) == ("empty",)
