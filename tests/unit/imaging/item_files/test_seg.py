import copy
import io
from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom import DataElement, config
from pydicom.dataset import Dataset

from maskrelay.contract.vocabulary.segment_codes import codes_of
from maskrelay.errors import ArtifactUnsupported
from maskrelay.imaging.dicom.damage import quiet
from maskrelay.imaging.item_files.seg import write_seg
from maskrelay.imaging.item_files.seg_header import Segment, segment_labels
from tests.support.builders.segmentations import (
    ENHANCED,
    MAKING,
    ODD,
    PROMPTS,
    SOURCES,
    expected_masks,
    frames_of,
    headers,
    opened,
    plain_masks,
    random_masks,
    same_masks,
    seg_bytes,
)

EVERY = [*SOURCES, *ENHANCED, ODD]


def made(name: str, masks: np.ndarray | None = None) -> Dataset:
    objects = headers(name)
    return opened(seg_bytes(objects, random_masks(objects) if masks is None else masks))


def changed(name: str, **attributes: object) -> tuple[Dataset, ...]:
    """The source's headers with other values; None takes the attribute away."""
    objects = [copy.deepcopy(header) for header in headers(name)]
    for header in objects:
        for keyword, value in attributes.items():
            if value is None:
                del header[keyword]
            else:
                setattr(header, keyword, value)
    return tuple(objects)


@pytest.mark.parametrize("name", EVERY)
def test_the_standards_rules_give_back_every_mask_on_the_frame_it_was_made_of(name):
    objects = headers(name)
    masks = random_masks(objects)
    assert same_masks(plain_masks(opened(seg_bytes(objects, masks))), expected_masks(objects, masks))


@pytest.mark.parametrize("name", EVERY)
def test_highdicom_gives_back_every_mask(name):
    objects = headers(name)
    masks = random_masks(objects)
    seg = hd.seg.segread(io.BytesIO(seg_bytes(objects, masks)))
    frames = frames_of(objects)
    if len(objects) == len(frames):
        instances = [header.SOPInstanceUID for header in objects]
        read = seg.get_pixels_by_source_instance(instances, assert_missing_frames_are_empty=True)
    else:
        numbers = [frame + 1 for _, frame in frames]
        read = seg.get_pixels_by_source_frame(objects[0].SOPInstanceUID, numbers, assert_missing_frames_are_empty=True)
    assert np.array_equal(read.transpose(3, 0, 1, 2), masks)


@pytest.mark.parametrize("name", ["ct-series", "ct-enhanced"])
def test_highdicom_finds_each_frame_at_its_sources_position(name):
    objects = headers(name)
    masks = random_masks(objects)
    masks[:] |= True
    seg = hd.seg.segread(io.BytesIO(seg_bytes(objects, masks)))
    volume = seg.get_volume(combine_segments=False, allow_missing_positions=True)
    for groups in seg.PerFrameFunctionalGroupsSequence:
        [position] = groups.PlanePositionSequence
        index = volume.map_reference_to_indices(np.array([position.ImagePositionPatient], float))
        assert np.allclose(index[0, 1:], 0, atol=1e-3)
        assert abs(index[0, 0] - round(index[0, 0])) < 1e-3


@pytest.mark.parametrize("name", ["ct-series", "mr-series", "ct", "mr"])
def test_positions_are_the_sources_own_characters(name):
    sources = {header.SOPInstanceUID: header for header in headers(name)}
    seg = made(name)
    [shared] = seg.SharedFunctionalGroupsSequence
    for groups in seg.PerFrameFunctionalGroupsSequence:
        source = sources[groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        orientation = (shared if "PlaneOrientationSequence" in shared else groups).PlaneOrientationSequence[0]
        for found, keyword in (
            (groups.PlanePositionSequence[0], "ImagePositionPatient"),
            (orientation, "ImageOrientationPatient"),
        ):
            assert [str(number) for number in found[keyword].value] == [str(number) for number in source[keyword].value]
        assert shared.PixelMeasuresSequence[0].PixelSpacing == source.PixelSpacing
    assert seg.FrameOfReferenceUID == headers(name)[0].FrameOfReferenceUID


@pytest.mark.parametrize("name", ["us-multiframe", "cr", "ct-without-frame-of-reference", "sc-two-frames"])
def test_a_source_without_a_frame_of_reference_gets_no_position_and_still_names_its_frames(name):
    seg = made(name)
    assert "FrameOfReferenceUID" not in seg
    assert all("PlanePositionSequence" not in groups for groups in seg.PerFrameFunctionalGroupsSequence)
    assert all("PlaneOrientationSequence" not in groups for groups in seg.PerFrameFunctionalGroupsSequence)
    pointers = [item.DimensionDescriptionLabel for item in seg.DimensionIndexSequence]
    assert pointers == ["Segment Number", *(["Temporal Position Index"] if len(frames_of(headers(name))) > 1 else [])]


@pytest.mark.parametrize("name", EVERY)
def test_the_dimensions_tell_any_two_frames_apart(name):
    seg = made(name)
    indices = [
        tuple(np.atleast_1d(g.FrameContentSequence[0].DimensionIndexValues))
        for g in seg.PerFrameFunctionalGroupsSequence
    ]
    assert len(set(indices)) == len(indices) == seg.NumberOfFrames
    assert {len(values) for values in indices} == {len(seg.DimensionIndexSequence)}


def test_frames_at_one_position_are_told_apart_by_their_order():
    objects = changed("ct-series", ImagePositionPatient=["0", "0", "7.5"])
    seg = opened(seg_bytes(objects, random_masks(objects)))
    assert [item.DimensionDescriptionLabel for item in seg.DimensionIndexSequence] == [
        "Segment Number",
        "Image Position (Patient)",
        "Temporal Position Index",
    ]


def test_positions_are_ranked_along_the_normal_whatever_the_order_of_frames():
    objects = headers("ct-series")
    masks = random_masks(objects) | True
    seg = opened(seg_bytes(objects, masks))
    ranked = sorted(
        (
            groups.FrameContentSequence[0].DimensionIndexValues[1],
            float(groups.PlanePositionSequence[0].ImagePositionPatient[2]),
        )
        for groups in seg.PerFrameFunctionalGroupsSequence
    )
    heights = [height for _, height in ranked]
    assert heights == sorted(heights)
    assert {rank for rank, _ in ranked} == set(range(1, len(objects) + 1))


def test_the_object_says_whose_it_is_what_made_it_and_that_it_is_for_research():
    [source] = headers("ct")
    seg = made("ct")
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "StudyID", "FrameOfReferenceUID"):
        assert seg[keyword].value == source[keyword].value
    assert seg.Modality == "SEG"
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    assert "research use only" in seg.SeriesDescription
    assert seg.ContentQualification == "RESEARCH"
    assert (seg.ContentDate, seg.ContentTime) == ("20260504", "131415")
    [series] = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence] == [source.SOPInstanceUID]


def test_each_prompt_is_a_segment_with_its_codes_and_the_algorithms_identification():
    seg = made("ct")
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == list(PROMPTS)
    assert [segment.SegmentNumber for segment in seg.SegmentSequence] == [1, 2]
    assert [s.SegmentedPropertyTypeCodeSequence[0].CodeValue for s in seg.SegmentSequence] == ["108369006", "64033007"]
    assert [s.SegmentedPropertyCategoryCodeSequence[0].CodeValue for s in seg.SegmentSequence] == [
        "49755003",
        "91723000",
    ]
    for segment in seg.SegmentSequence:
        [algorithm] = segment.SegmentationAlgorithmIdentificationSequence
        [family] = algorithm.AlgorithmFamilyCodeSequence
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert (family.CodeValue, family.CodingSchemeDesignator) == ("123110", "DCM")
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("MedImageParse", "4")


def test_the_same_input_gives_the_same_bytes_and_another_fingerprint_another_object():
    objects = headers("ct-series")
    masks = random_masks(objects)
    other = replace(MAKING, fingerprint="other")
    first, again, third = (seg_bytes(objects, masks, making) for making in (MAKING, MAKING, other))
    assert first == again
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert opened(first)[keyword].value != opened(third)[keyword].value
        assert len(opened(first)[keyword].value) <= 64


@pytest.mark.parametrize("name", ["ct-series", "us-multiframe", "cr"])
def test_an_object_without_any_foreground_has_one_empty_frame(name):
    objects = headers(name)
    seg = opened(seg_bytes(objects, random_masks(objects) & False))
    assert seg.NumberOfFrames == len(seg.PerFrameFunctionalGroupsSequence) == 1
    assert not any(seg.PixelData)
    assert len(seg.SegmentSequence) == len(PROMPTS)


def test_labels_are_unique_short_and_hold_no_backslash():
    long = "a" * 70
    labels = segment_labels(["liver", "liver", long, long, "a\\b", " "])
    assert labels == ["liver", "liver (2)", "a" * 64, "a" * 60 + " (2)", "a/b", "segment"]


def test_names_and_prompts_of_any_script_are_kept():
    objects = changed("ct", SpecificCharacterSet="ISO_IR 126", PatientName="Διονυσιος")
    out = io.BytesIO()
    masks = random_masks(objects)
    write_seg(
        out,
        [(0, 0)],
        objects.__getitem__,
        [Segment("肝臓", codes_of("肝臓", "liver"))],
        lambda _f, p: masks[p, 0],
        MAKING,
    )
    seg = opened(out.getvalue())
    assert seg.PatientName == "Διονυσιος"
    assert seg.SegmentSequence[0].SegmentLabel == "肝臓"


def test_odd_values_in_a_source_do_no_harm():
    objects = changed("ct", PatientBirthDate=None, AccessionNumber=None)
    for keyword, value in (("PatientSex", "unheard of"), ("StudyDate", "yesterday")):
        objects[0][keyword] = DataElement(keyword, objects[0][keyword].VR, value, validation_mode=config.IGNORE)
    masks = random_masks(objects)
    seg = opened(seg_bytes(objects, masks))
    assert (seg.PatientBirthDate, seg.AccessionNumber) == ("", "")
    assert same_masks(plain_masks(seg), expected_masks(objects, masks))


@pytest.mark.parametrize("name", ["ct", "us-multiframe", "ct-enhanced"])
def test_a_damaged_header_gives_an_object_or_a_coded_error(name):
    [header] = headers(name)
    written = io.BytesIO()
    header.save_as(written)
    masks, frames = random_masks((header,)), frames_of((header,))
    rng = np.random.default_rng(11)
    outcomes = set()
    for _ in range(60):
        damaged = np.frombuffer(written.getvalue(), np.uint8).copy()
        damaged[rng.integers(132, damaged.size, 6)] = rng.choice(np.array([0, 32, 92, 255, 48], np.uint8), 6)
        with quiet():
            try:
                read = pydicom.dcmread(io.BytesIO(damaged.tobytes()), stop_before_pixels=True)
            except Exception:
                continue  # not a header any more
        outcomes.add(attempt(read, frames, masks))
    assert outcomes == {"written", "artifact_unsupported"}


def attempt(header: Dataset, frames: list[tuple[int, int]], masks: np.ndarray) -> str:
    out = io.BytesIO()
    segments = [Segment(prompt, codes_of(prompt, None)) for prompt in PROMPTS]
    try:
        write_seg(out, frames, lambda _: header, segments, lambda frame, prompt: masks[prompt, frame], MAKING)
    except ArtifactUnsupported as error:
        return error.code
    assert len(plain_masks(opened(out.getvalue()))) == masks.any(axis=(2, 3)).sum()
    return "written"


def test_a_slice_of_unknown_thickness_is_as_thick_as_slices_are_apart_or_has_no_measures():
    for apart, kept in (("2.5", "2.5"), (None, None)):
        [header] = changed("ct", SliceThickness=None)
        header.SpacingBetweenSlices = apart
        [shared] = opened(seg_bytes((header,), random_masks((header,)))).SharedFunctionalGroupsSequence
        measures = shared.get("PixelMeasuresSequence")
        assert (measures and str(measures[0].SliceThickness)) == kept


def test_lengths_and_directions_that_cannot_be_are_left_out():
    for wrong, kept in (
        ({"PixelSpacing": [0, 0]}, None),
        ({"PixelSpacing": [-0.5, 0.5]}, None),
        ({"SliceThickness": "0", "SpacingBetweenSlices": None}, None),
        ({"SliceThickness": "0", "SpacingBetweenSlices": "2.5"}, "2.5"),
        ({"SliceThickness": "3", "SpacingBetweenSlices": "-2.5"}, "3"),
    ):
        [header] = changed("ct", **wrong)
        [shared] = opened(seg_bytes((header,), random_masks((header,)))).SharedFunctionalGroupsSequence
        measures = shared.get("PixelMeasuresSequence")
        assert (measures and str(measures[0].SliceThickness)) == kept
        assert measures is None or measures[0].get("SpacingBetweenSlices") in (None, 2.5)
    [header] = changed("ct", ImageOrientationPatient=[0] * 6)
    seg = opened(seg_bytes((header,), random_masks((header,))))
    assert "PlaneOrientationSequence" not in seg.SharedFunctionalGroupsSequence[0]
    assert all("PlanePositionSequence" not in groups for groups in seg.PerFrameFunctionalGroupsSequence)


def test_the_position_of_a_single_frame_may_be_among_the_shared_groups():
    header = copy.deepcopy(headers("ct-enhanced")[0])
    header.NumberOfFrames = 1
    for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
        if keyword in header.PerFrameFunctionalGroupsSequence[0]:
            group = header.PerFrameFunctionalGroupsSequence[0][keyword].value
            setattr(header.SharedFunctionalGroupsSequence[0], keyword, group)
    del header.PerFrameFunctionalGroupsSequence
    groups, _ = opened(seg_bytes((header,), np.ones((2, 1, header.Rows, header.Columns), bool))).get(
        "PerFrameFunctionalGroupsSequence"
    )
    expected = header.SharedFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient
    assert groups.PlanePositionSequence[0].ImagePositionPatient == expected


def test_a_uid_that_is_none_is_refused_and_as_a_frame_of_reference_left_out():
    with quiet():
        refused, unplaced = changed("ct", SOPInstanceUID="1.2.x"), changed("ct", FrameOfReferenceUID="1 2")
    with pytest.raises(ArtifactUnsupported, match="SOPInstanceUID"):
        seg_bytes(refused, random_masks(refused))
    assert "FrameOfReferenceUID" not in opened(seg_bytes(unplaced, random_masks(unplaced)))


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Rows"])
def test_a_source_without_what_ties_a_segmentation_to_it_is_refused_by_the_tags_name(keyword):
    masks = random_masks(headers("ct"))
    with pytest.raises(ArtifactUnsupported, match=keyword):
        seg_bytes(changed("ct", **{keyword: None}), masks)


def test_frames_of_two_sizes_or_two_studies_are_refused():
    for other in ("mr", "us"):
        objects = (*headers("ct"), *headers(other))
        with pytest.raises(ArtifactUnsupported, match="one study"):
            seg_bytes(objects, random_masks(headers("ct")))


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ArtifactUnsupported, match="shape"):
        seg_bytes(headers("ct"), np.ones((2, 1, 128, 127), np.bool_))
