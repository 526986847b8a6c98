import cProfile
import math
import pstats

from maskrelay.rules.series.matching import count_orientations, slices_of, split_alike
from tests.support.builders.series import slice_at


def turning(count: int):
    """Slices that turn about the x axis, by a little more than two directions of one stack may differ."""
    for number in range(count):
        angle = number * 2e-3
        orientation = (1.0, 0.0, 0.0, 0.0, math.cos(angle), math.sin(angle))
        yield from slices_of(number, slice_at(f"{number}", (0, 0, number), orientation))


def calls(count: int) -> int:
    slices = list(turning(count))
    with cProfile.Profile() as profile:
        clusters = split_alike(slices)
        assert len(clusters) == count_orientations(clusters) == count
    return pstats.Stats(profile).total_calls


def test_the_work_does_not_grow_with_the_square_of_the_number_of_orientations():
    assert calls(600) < 2.5 * calls(300)


def test_directions_that_differ_by_rounding_are_alike_on_either_side_of_a_cell():
    for shift in (-9e-4, -1e-9, 1e-9, 9e-4):
        first, second = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (1.0, shift, 0.0, 0.0, 1.0, shift)
        slices = [*slices_of(0, slice_at("0", (0, 0, 0), first)), *slices_of(1, slice_at("1", (0, 0, 1), second))]
        assert len(split_alike(slices)) == 1
