"""Laws of outlines: filled again they are the mask, and no ring touches itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import label

from maskrelay.imaging.item_files.outlines import regions_of
from tests.support.builders.outlined import filled

pytestmark = pytest.mark.slow_subject("imaging-laws")

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.booleans())


@settings(deadline=None, max_examples=300)
@given(masks)
def test_polygons_filled_again_are_the_mask(mask):
    assert np.array_equal(filled(regions_of(mask), mask.shape), mask)


@settings(deadline=None, max_examples=300)
@given(masks)
def test_every_piece_is_one_region_and_its_area_is_its_pixels(mask):
    regions = regions_of(mask)
    pieces = label(mask, connectivity=2)
    assert sorted(region.area_px for region in regions) == sorted(np.bincount(pieces.ravel())[1:].tolist())
    parts = sum(len(region.polygons) for region in regions)
    assert parts == label(mask, connectivity=1).max()


@settings(deadline=None, max_examples=300)
@given(masks)
def test_rings_are_closed_simple_and_turn_at_every_corner(mask):
    for region in regions_of(mask):
        for rings in region.polygons:
            for ring in rings:
                assert ring[0] == ring[-1]
                assert len(set(ring)) == len(ring) - 1
                steps = np.diff(np.array([*ring, ring[1]]), axis=0)
                assert ((steps != 0).sum(axis=1) == 1).all()
                assert ((steps[1:] != 0) != (steps[:-1] != 0)).all()
