"""A category at odds with its prompt."""

import pytest

from maskrelay.contract.vocabulary.categories import at_odds


@pytest.mark.parametrize(
    ("prompt", "category"),
    [
        ("liver in abdomen CT", "kidney"),
        ("left kidney in abdomen MRI", "tumor"),
        ("kidney tumor in abdomen CT", "kidney"),
        ("optic disc in retinal fundus", "vessel"),
        ("aorta in abdomen CT", "liver"),
        ("spleen in abdomen CT", "background"),
        ("left adrenal gland in abdomen CT", "kidney"),
        ("anything at all", "others"),
    ],
)
def test_is_seen(prompt, category):
    assert at_odds(prompt, category)


@pytest.mark.parametrize(
    ("prompt", "category"),
    [
        ("liver in abdomen CT", "liver"),
        ("tumor in liver CT", "tumor"),
        ("left heart ventricle in heart MRI", "heart anatomies"),
        ("neoplastic cells in breast pathology", "histology structure"),
        ("liver in abdomen CT", None),
        ("liver in abdomen CT", ""),
        ("liver in abdomen CT", "other"),
        ("something new in abdomen CT", "kidney"),
        ("lung opacity in chest X-ray", "infection"),
    ],
)
def test_is_not_seen_where_there_is_none(prompt, category):
    assert not at_odds(prompt, category)
