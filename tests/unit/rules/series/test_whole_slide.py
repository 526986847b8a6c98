"""Pictures of glass slides: what shows a label, and what is no tissue."""

import pytest

from maskrelay.rules.series.burned_in import judge_burned_in
from maskrelay.rules.series.whole_slide import shows_label, why_not_tissue
from tests.support.builders.series import object_of

SLIDE = {"sop_class": "1.2.840.10008.5.1.4.1.1.77.1.6", "modality": "SM"}


def slide(word: str, **more: object):
    return object_of("a", **{**SLIDE, "image_type": ("ORIGINAL", "PRIMARY", word, "NONE"), **more})


@pytest.mark.parametrize("denies", [False, None])
@pytest.mark.parametrize("word", ["LABEL", "OVERVIEW", "LOCALIZER", "label"])
def test_a_label_or_overview_is_text_whatever_the_object_says_and_never_tissue(word, denies):
    picture = slide(word, burned_in=denies)
    assert shows_label(picture)
    assert judge_burned_in(picture, "refuse") == "refuse"
    assert "label" in (why_not_tissue(picture) or "")


def test_tissue_with_the_label_in_the_picture_is_suspected_of_text():
    picture = slide("VOLUME", label_in_image=True, burned_in=False)
    assert judge_burned_in(picture, "refuse") == "refuse"
    assert why_not_tissue(picture) is None


@pytest.mark.parametrize("word", ["VOLUME", "THUMBNAIL"])
def test_tissue_in_one_picture_is_taken(word):
    picture = slide(word, total_matrix=(48, 64), label_in_image=False)
    assert not shows_label(picture)
    assert why_not_tissue(picture) is None


@pytest.mark.parametrize("matrix", [(49, 64), (48, 65), (100_000, 80_000), (20, 100)])
def test_a_slide_cut_into_tiles_is_refused_by_its_size(matrix):
    assert f"{matrix[0]} × {matrix[1]}" in (why_not_tissue(slide("VOLUME", total_matrix=matrix, frames=9)) or "")


def test_a_localizer_of_another_modality_is_no_slide():
    assert not shows_label(object_of("a", modality="MR", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")))
