import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from maskrelay.contract.records.outcomes import Rle
from maskrelay.errors import Malformed
from maskrelay.imaging.masks.rle import decode_rle, encode_rle
from tests.support.builders.masks import mask_of

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


def by_coco(mask: np.ndarray) -> str:
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()


@given(masks)
def test_small_masks_are_written_letter_for_letter_as_coco_does_and_come_back(mask):
    rle = encode_rle(mask_of(mask))
    assert rle.counts == by_coco(mask)
    assert rle.size == mask.shape
    assert np.array_equal(decode_rle(rle), mask)


def large_masks() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    disc = np.hypot(*np.ogrid[-800:801, -900:901]) < 700
    corner = np.zeros((4096, 4096), np.bool_)
    corner[-1, -1] = True
    return {
        "noise": random.random((700, 900)) < 0.4,
        "disc": disc,
        "hole": ~disc,
        "corner": corner,
        "empty": np.zeros((3000, 2000), np.bool_),
        "full": np.ones((3000, 2000), np.bool_),
        "line": random.random((1, 4096)) < 0.5,
        "column": random.random((4096, 1)) < 0.5,
    }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
@pytest.mark.parametrize("name", large_masks())
def test_large_masks_are_written_as_coco_does_and_read_by_both(name):
    mask = large_masks()[name]
    rle = encode_rle(mask_of(mask))
    assert rle.counts == by_coco(mask)
    assert np.array_equal(decode_rle(rle), mask)
    assert np.array_equal(coco.decode({"size": list(rle.size), "counts": rle.counts}), mask)


@given(st.text(max_size=20), st.tuples(st.integers(-2, 9), st.integers(-2, 9)))
def test_any_text_is_a_mask_of_its_size_or_refused(text, size):
    try:
        mask = decode_rle(Rle(size=size, counts=text))
    except Malformed:
        return
    assert mask.shape == size


@pytest.mark.parametrize("counts", ["", "5", "P", "é", "\x00", "ooooooooooooo0", "0" * 9 + "o"])
def test_counts_that_are_not_cocos_are_refused(counts):
    with pytest.raises(Malformed):
        decode_rle(Rle(size=(4, 5), counts=counts))
