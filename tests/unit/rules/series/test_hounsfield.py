"""Which CT objects hold Hounsfield units: a CT window on anything else shows nothing of it."""

import pytest

from maskrelay.rules.series.hounsfield import other_than_hounsfield
from tests.support.builders.series import object_of

AXIAL = ("ORIGINAL", "PRIMARY", "AXIAL")
CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"


def derived(*words: str) -> tuple[str, ...]:
    return ("DERIVED", "PRIMARY", *words)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, None),
        ({"units": "HU"}, None),
        ({"units": "hu"}, None),
        ({"units": "HU_MOD"}, None),
        ({"units": "[hnsf'U]"}, None),
        ({"units": "US", "rescale": (1.0, -1024.0)}, None),
        ({"units": "US", "rescale": (1.0, 0.0)}, "unspecified"),
        ({"units": "US"}, "unspecified"),
        ({"units": "MGML"}, "MGML"),
        ({"units": "Z_EFF"}, "Z_EFF"),
        ({"units": "ED"}, "ED"),
        ({"units": "PCT"}, "PCT"),
        ({"units": "mg/mL"}, "mg/mL"),
        ({"units": "MGML", "image_type": AXIAL}, "MGML"),
        ({"image_type": AXIAL}, None),
        ({"image_type": derived("AXIAL", "VMI")}, None),
        ({"image_type": derived("AXIAL", "MAT_REMOVED")}, None),
        ({"image_type": derived("AXIAL", "MAT_SPECIFIC")}, "MAT_SPECIFIC"),
        ({"image_type": derived("AXIAL", "EFF_ATOMIC_NUM")}, "EFF_ATOMIC_NUM"),
        ({"image_type": derived("AXIAL", "Iodine")}, "Iodine"),
        ({"image_type": derived("AXIAL", "IODINE"), "units": "HU"}, "IODINE"),
        ({"image_type": (*AXIAL, "PERFUSION"), "units": "HU"}, None),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER"), "units": "HU"}, "LOCALIZER"),
        ({"sop_class": CAPTURE}, "unspecified"),
        ({"sop_class": CAPTURE, "units": "HU"}, None),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.30"}, "unspecified"),
        ({"modality": "PT", "units": "MGML"}, None),
        ({"modality": "MR", "units": "US"}, None),
    ],
)
def test_the_units_decide_then_the_kind_of_picture(facts, expected):
    assert other_than_hounsfield(object_of("a", **facts)) == expected
