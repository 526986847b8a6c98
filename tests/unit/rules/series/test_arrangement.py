"""From surveyed DICOM objects to items: what is found of single objects, and what is refused for it."""

from typing import Any

import pytest

from maskrelay.contract.records.dicom_facts import DicomFacts
from maskrelay.contract.records.job import PixelOptions
from maskrelay.contract.records.planned_items import Surveyed
from maskrelay.contract.records.source_frames import Reading
from maskrelay.contract.vocabulary.outputs import outputs_of
from maskrelay.rules.item_options import EffectiveOptions
from maskrelay.rules.series.arrangement import Draft, arrange
from tests.support.builders.series import axial, object_of, slice_at

SLIDE = {"sop_class": "1.2.840.10008.5.1.4.1.1.77.1.6", "modality": "SM"}
MOSAIC = ("ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC")


def drafts(*objects: DicomFacts, **options: Any) -> list[Draft]:
    sources = (
        Surveyed(upload=number, kind="dicom", size=1, frames=one.frames, reading=Reading(kind="dicom"), facts=one)
        for number, one in enumerate(objects)
    )
    effective = EffectiveOptions((), PixelOptions(**options))
    return list(arrange(sources, lambda _upload: (("p",), effective), lambda _source: True))


def test_what_the_header_and_the_pixels_disagree_in_is_found_of_the_item():
    objects = [one.model_copy(update={"findings": {"codestream_depth": (12, 16)}}) for one in axial([0, 1, 2])]
    (item,) = drafts(*objects)
    assert item.findings["codestream_depth"] == (12, 16)
    assert item.error is None


def test_ct_that_is_not_in_hounsfield_units_is_said():
    (item,) = drafts(*axial([0, 1], units="MGML"))
    assert item.findings["not_hounsfield"] == ("MGML",)
    assert "not_hounsfield" not in drafts(*axial([0, 1], units="HU"))[0].findings


@pytest.mark.parametrize("marked", [{"image_type": MOSAIC}, {"mosaic": 36}])
def test_a_mosaic_is_nowhere_in_space_and_makes_neither_volume_nor_seg(marked):
    position = {"modality": "MR", "thickness": 4.0, **marked}
    items = drafts(*(slice_at(str(number), (0, 0, 20), **position) for number in range(3)))
    assert len(items) == 3
    for item in items:
        assert item.findings["mosaic"] == (48, 64)
        assert item.grid is None
        form = {"volume": item.grid is not None, "placed": False}
        assert outputs_of(("mask", "nifti", "seg"), "dicom", 1, **form) == ("mask",)
        assert "seg" not in outputs_of((), "dicom", 1, **form)


@pytest.mark.parametrize(
    ("policy", "code"),
    [("refuse", "burned_in_annotation"), ("warn", "unsupported_image"), ("allow", "unsupported_image")],
)
def test_a_slides_label_is_never_sent(policy, code):
    volume = object_of("1", **SLIDE, image_type=("ORIGINAL", "PRIMARY", "VOLUME", "NONE"), burned_in=False)
    label = object_of("2", **SLIDE, image_type=("ORIGINAL", "PRIMARY", "LABEL", "NONE"), burned_in=False)
    tissue, refused = drafts(volume, label, burned_in=policy)
    assert tissue.error is None
    assert refused.error is not None
    assert refused.error.code == code


def test_tiles_of_a_slide_are_refused_by_name():
    tiles = object_of("1", **SLIDE, frames=6, total_matrix=(144, 128), image_type=("ORIGINAL", "PRIMARY", "VOLUME"))
    (item,) = drafts(tiles)
    assert item.error is not None
    assert (item.error.code, "144 × 128" in item.error.detail) == ("unsupported_image", True)


def test_text_in_any_slice_of_a_series_counts():
    first, second = axial([0, 1])
    (item,) = drafts(first, second.model_copy(update={"burned_in": True}), burned_in="refuse")
    assert item.error is not None
    assert item.error.code == "burned_in_annotation"
    assert item.findings["burned_in"] is True
