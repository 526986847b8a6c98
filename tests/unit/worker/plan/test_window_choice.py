"""Which window an item gets where nobody asks for one."""

import pytest

from tests.support.builders.series import object_of
from worker.plan.window_choice import default_of


@pytest.mark.parametrize(
    ("facts", "bits", "expected"),
    [
        ({}, 12, "ct-abdomen"),
        ({"units": "HU", "body_part": "CHEST"}, 16, "ct-lung"),
        ({"units": "MGML"}, 16, "percentile-positive"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, 12, "percentile-positive"),
        ({"modality": "PT", "units": "BQML"}, 16, "percentile-positive"),
        ({}, 8, "none"),
        ({"samples": 3, "photometric": "RGB"}, 16, "none"),
        ({"photometric": "PALETTE COLOR"}, 16, "none"),
    ],
)
def test_the_default_fits_what_the_object_holds(facts, bits, expected):
    assert default_of(object_of("a", **facts), bits) == expected


def test_a_source_that_is_no_dicom_goes_by_its_bits():
    assert (default_of(None, 8), default_of(None, 16)) == ("none", "percentile-positive")
