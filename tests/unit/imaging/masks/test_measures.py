import numpy as np
import pytest
from scipy import ndimage

from maskrelay.contract.records.outcomes import Measures
from maskrelay.imaging.masks.measures import FRAGMENTS_EXPECTED, measure
from tests.support.builders.masks import mask_of


def rectangle(left: int, top: int, width: int, height: int, shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def test_a_rectangle_is_measured_in_source_pixels():
    mask = rectangle(10, 20, 31, 11)
    measures = measure(mask_of(mask, np.where(mask, np.uint8(204), np.uint8(0))))
    assert (measures.empty, measures.area_px, measures.components) == (False, 341, 1)
    assert measures.bbox == (10, 20, 31, 11)
    assert measures.centroid == (25.0, 25.0)
    assert measures.mean_probability == pytest.approx(0.8)
    assert (measures.border, measures.flags) == ((), ())


def test_the_centroid_is_scipys_with_x_first():
    mask = np.random.default_rng(2).random((50, 70)) < 0.1
    measures = measure(mask_of(mask, np.zeros((50, 70), np.uint8)))
    assert measures.centroid == pytest.approx(ndimage.center_of_mass(mask)[::-1])


def test_an_empty_mask_has_no_place_and_the_frames_mean_probability():
    measures = measure(mask_of(np.zeros((4, 5), np.bool_), np.full((4, 5), 51, np.uint8)))
    assert (measures.empty, measures.area_px, measures.components) == (True, 0, 0)
    assert measures.bbox is None
    assert measures.centroid is None
    assert measures.mean_probability == pytest.approx(0.2)
    assert (measures.border, measures.flags) == ((), ("empty",))


def test_a_full_frame_is_flagged_and_touches_every_side():
    measures = measure(mask_of(np.ones((4, 5), np.bool_), np.full((4, 5), 255, np.uint8)))
    assert measures.flags == ("full_frame", "touches_border")
    assert measures.border == ("left", "top", "right", "bottom")
    assert measures.bbox == (0, 0, 5, 4)
    assert measures.mean_probability == 1.0


@pytest.mark.parametrize(
    ("mask", "side"),
    [
        (rectangle(0, 5, 3, 3), "left"),
        (rectangle(5, 0, 3, 3), "top"),
        (rectangle(77, 5, 3, 3), "right"),
        (rectangle(5, 57, 3, 3), "bottom"),
    ],
)
def test_the_side_that_is_touched_is_named(mask, side):
    measures = measure(mask_of(mask, np.zeros(mask.shape, np.uint8)))
    assert measures.border == (side,)
    assert measures.flags == ("touches_border",)


def scattered(pixels: int) -> np.ndarray:
    """So many single pixels, none at the frame."""
    mask = np.zeros((51, 51), np.bool_)
    mask[1::2, 1::2] = np.arange(625).reshape(25, 25) < pixels
    return mask


def test_more_fragments_than_expected_are_flagged():
    assert measure(mask_of(scattered(FRAGMENTS_EXPECTED))).flags == ()
    assert measure(mask_of(scattered(FRAGMENTS_EXPECTED + 1))).flags == ("many_fragments",)


def test_flags_of_the_answer_are_passed_through():
    measures = measure(mask_of(np.zeros((4, 5), np.bool_)), ["max_le_1"])
    assert measures.flags == ("empty", "max_le_1")


def test_measures_go_through_json_unchanged():
    mask = rectangle(3, 4, 5, 6)
    measures = measure(mask_of(mask, np.zeros(mask.shape, np.uint8)))
    assert Measures.model_validate_json(measures.model_dump_json()) == measures
