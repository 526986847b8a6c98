"""What is read of a header, and from where when several tags could tell."""

import numpy as np
import pytest

from maskrelay.contract.records.dicom_facts import DicomFacts
from maskrelay.imaging.dicom import read_facts
from tests.support.builders.dicoms import (
    ROOT,
    dataset_of,
    dicom_of,
    item,
    with_pixels,
)
from tests.support.builders.series import marks

PIXELS = np.zeros((3, 4), np.uint16)
FRAMES = np.zeros((3, 3, 4), np.uint16)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def facts_of(pixels: np.ndarray = PIXELS, **tags: object) -> DicomFacts:
    return read_facts(dicom_of(pixels, **tags))


def test_the_header_of_a_slice_is_read():
    facts = facts_of(
        FrameOfReferenceUID=ROOT + "4",
        BodyPartExamined="ABDOMEN",
        ImagePositionPatient=[-1.5, 2, 3.25],
        ImageOrientationPatient=list(AXIAL),
        PixelSpacing=[0.5, 0.25],
        SliceThickness="2.5",
        SpacingBetweenSlices="2",
        WindowCenter=[40, 500],
        WindowWidth=[400, 1500],
        VOILUTFunction="SIGMOID",
        RescaleIntercept=-1024,
        RescaleSlope=1,
        RescaleType="HU",
        InstanceNumber=7,
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        BitsStored=12,
        HighBit=11,
    )
    assert (facts.sop_instance, facts.study, facts.series) == (ROOT + "1", ROOT + "2", ROOT + "3")
    assert (facts.frame_of_reference, facts.modality, facts.body_part) == (ROOT + "4", "CT", "ABDOMEN")
    assert (facts.rows, facts.columns, facts.frames, facts.samples, facts.bits) == (3, 4, 1, 1, 12)
    assert (facts.positions, facts.orientations) == (((-1.5, 2.0, 3.25),), (AXIAL,))
    assert (facts.spacing, facts.thickness, facts.slice_distance) == ((0.5, 0.25), 2.5, 2.0)
    assert (facts.windows, facts.voi_function) == (((40.0, 400.0), (500.0, 1500.0)), "SIGMOID")
    assert (facts.units, facts.instance_number) == ("HU", 7)
    assert facts.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert facts.frame_ordinals == ()


def test_what_is_absent_is_none_or_empty():
    facts = facts_of(StudyInstanceUID=None, SeriesInstanceUID=None, Modality=None)
    assert (facts.study, facts.series, facts.modality) == ("", "", "")
    assert (facts.positions, facts.orientations, facts.windows, facts.spacing) == ((), (), (), None)
    assert (facts.expected, facts.burned_in, facts.instance_number, facts.units) == (None, None, None, None)
    assert set(facts.ordinal) == {0.0, "", ()}


def test_facts_cross_a_process_as_json():
    facts = facts_of(ImagePositionPatient=[0, 0, 1], ImageOrientationPatient=list(AXIAL))
    assert DicomFacts.model_validate_json(facts.model_dump_json()) == facts


@pytest.mark.parametrize(
    ("tags", "spacing"),
    [
        ({"PixelSpacing": [1, 2], "ImagerPixelSpacing": [3, 4]}, (1.0, 2.0)),
        ({"ImagerPixelSpacing": [3, 4], "NominalScannedPixelSpacing": [5, 6]}, (3.0, 4.0)),
        ({"NominalScannedPixelSpacing": [5, 6]}, (5.0, 6.0)),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [3, 4]}, (3.0, 4.0)),
        ({"PixelSpacing": [0, 0]}, None),
    ],
)
def test_spacing_comes_from_the_first_tag_that_knows_it(tags, spacing):
    assert facts_of(**tags).spacing == spacing


@pytest.mark.parametrize("length", ["1e-300", "1e300", "0", "-1"])
def test_a_length_that_cannot_be_is_unknown(length):
    facts = facts_of(PixelSpacing=[length, length], SliceThickness=length, SpacingBetweenSlices=length)
    assert (facts.spacing, facts.thickness, facts.slice_distance) == (None, None, None)


def region(units: int = 3, across: float = 0.05, down: float = 0.04):
    return item(
        PhysicalUnitsXDirection=units, PhysicalUnitsYDirection=units, PhysicalDeltaX=across, PhysicalDeltaY=down
    )


@pytest.mark.parametrize(
    ("regions", "spacing"),
    [
        ([region()], (0.4, 0.5)),
        ([region(down=-0.04)], (0.4, 0.5)),
        ([region(), region(units=4)], (0.4, 0.5)),
        ([region(), region()], (0.4, 0.5)),
        ([region(), region(across=0.1)], None),
        ([region(units=4)], None),
        ([region(across=0)], None),
    ],
)
def test_ultrasound_spacing_is_taken_from_the_one_region_in_centimetres(regions, spacing):
    found = facts_of(SequenceOfUltrasoundRegions=regions, Modality="US").spacing
    assert found == (None if spacing is None else pytest.approx(spacing))


def group(index: int, **more: object):
    return item(
        PlanePositionSequence=item(ImagePositionPatient=[0, 0, 2.5 * index]),
        FrameContentSequence=item(FrameAcquisitionNumber=1, TemporalPositionIndex=index + 1),
        MRDiffusionSequence=item(DiffusionBValue=1000.0),
        **more,
    )


SHARED = item(
    PlaneOrientationSequence=item(ImageOrientationPatient=list(AXIAL)),
    PixelMeasuresSequence=item(PixelSpacing=[0.7, 0.8], SliceThickness="3", SpacingBetweenSlices="2.5"),
    FrameVOILUTSequence=item(WindowCenter=50, WindowWidth=100),
    PixelValueTransformationSequence=item(RescaleSlope=1, RescaleIntercept=0, RescaleType="US"),
)


def test_an_enhanced_object_has_a_place_for_each_frame():
    facts = facts_of(
        FRAMES,
        SharedFunctionalGroupsSequence=[SHARED],
        PerFrameFunctionalGroupsSequence=[group(index) for index in range(3)],
    )
    assert facts.positions == ((0.0, 0.0, 0.0), (0.0, 0.0, 2.5), (0.0, 0.0, 5.0))
    assert facts.orientations == (AXIAL,) * 3
    assert (facts.spacing, facts.thickness, facts.slice_distance) == ((0.7, 0.8), 3.0, 2.5)
    assert (facts.windows, facts.units) == (((50.0, 100.0),), "US")
    assert facts.frame_ordinals == tuple(
        marks(acquisition_number=1.0, temporal_position=index + 1.0, b_value=1000.0) for index in range(3)
    )
    assert len(facts.ordinal) == len(facts.frame_ordinals[0])


def test_a_frame_without_a_place_leaves_none_for_all():
    groups = [group(0), group(1), item()]
    facts = facts_of(FRAMES, SharedFunctionalGroupsSequence=[SHARED], PerFrameFunctionalGroupsSequence=groups)
    assert facts.positions == ()
    assert len(facts.orientations) == 3


def test_frames_of_different_spacing_have_none_in_common():
    groups = [group(index, PixelMeasuresSequence=item(PixelSpacing=[1 + index, 1])) for index in range(3)]
    assert facts_of(FRAMES, PerFrameFunctionalGroupsSequence=groups).spacing is None


def test_frames_that_are_not_enhanced_have_no_places():
    facts = facts_of(FRAMES, ImagePositionPatient=[0, 0, 1], ImageOrientationPatient=list(AXIAL), Modality="US")
    assert (facts.frames, facts.positions, facts.orientations) == (3, (), ())


def test_an_orientation_of_zeros_is_none():
    assert facts_of(ImageOrientationPatient=[0] * 6).orientations == ()


def test_the_ordinal_tells_objects_at_one_position_apart():
    facts = facts_of(
        AcquisitionNumber=2,
        EchoNumbers=3,
        EchoTime="4.5",
        TemporalPositionIdentifier=5,
        TriggerTime="6",
        DiffusionBValue=700.0,
        InversionTime="8",
        FrameReferenceTime="9",
    )
    assert facts.ordinal == marks(
        acquisition_number=2.0,
        echo_number=3.0,
        echo_time=4.5,
        temporal_position=5.0,
        trigger_time=6.0,
        b_value=700.0,
        inversion_time=8.0,
        frame_reference_time=9.0,
    )


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({"ImageType": ["DERIVED", "PRIMARY", "DIXON", "WATER"]}, {"image_type": "DERIVED\\PRIMARY\\DIXON\\WATER"}),
        ({"DiffusionGradientOrientation": [0.70710678, 0, -0.70710678]}, {"gradient_direction": (0.71, 0.0, -0.71)}),
        ({"EchoTime": "4.6001"}, {"echo_time": 4.6}),
        ({"SequenceName": "*ep_b1000#3"}, {"sequence_name": "*ep_b1000#3"}),
        ({"ConvolutionKernel": ["I30f", "3"]}, {"kernel": "I30f\\3"}),
        ({"AcquisitionTime": "000130.25"}, {"acquisition_time": 90.25}),
        ({"AcquisitionDate": "19000102", "AcquisitionTime": "0001"}, {"acquisition_time": 86460.0}),
        ({"AcquisitionDateTime": "19000102000100.5+0100"}, {"acquisition_time": 86460.5}),
        ({"ContentTime": ""}, {}),
    ],
)
def test_words_directions_and_times_tell_objects_apart_too(tags, named):
    assert facts_of(**tags).ordinal == marks(**named)


SIEMENS = [(0x00190010, "LO", "SIEMENS MR HEADER"), (0x0019100C, "IS", "800"), (0x0019100E, "FD", [0.0, 1.0, 0.0])]
GE = [(0x00430010, "LO", "GEMS_PARM_01"), (0x00431039, "IS", [1000000800, 0]), (0x0043102F, "SS", 1)]
PHILIPS = [
    (0x20010010, "LO", "Philips Imaging DD 001"),
    (0x20011003, "FL", 800.0),
    *((tag, "FL", value) for tag, value in ((0x200510B0, 0.0), (0x200510B1, 1.0), (0x200510B2, 0.0))),
]


@pytest.mark.parametrize(
    ("elements", "named"),
    [
        (SIEMENS, {"b_value": 800.0, "gradient_direction": (0.0, 1.0, 0.0)}),
        (GE, {"b_value": 800.0, "image_type": "\\1"}),
        (PHILIPS, {"b_value": 800.0, "gradient_direction": (0.0, 1.0, 0.0)}),
        ([(0x00190010, "LO", "SOMEBODY ELSE"), *SIEMENS[1:]], {}),
    ],
)
def test_a_vendors_own_elements_are_read_where_it_wrote_them(elements, named):
    dataset = dataset_of(PIXELS)
    for element in elements:
        dataset.add_new(*element)
    assert read_facts(with_pixels(dataset, PIXELS.tobytes())).ordinal == marks(**named)


@pytest.mark.parametrize(
    ("tags", "expected", "acquired"),
    [
        ({"ImagesInAcquisition": 30}, None, 30),
        ({"NumberOfSeriesRelatedInstances": 60}, 60, None),
        ({"ImagesInAcquisition": 30, "NumberOfSeriesRelatedInstances": 60}, 60, 30),
        ({"ImagesInAcquisition": 0}, None, None),
    ],
)
def test_the_expected_number_is_the_series_own_and_not_the_acquisitions(tags, expected, acquired):
    facts = facts_of(**tags)
    assert (facts.expected, facts.acquired) == (expected, acquired)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"PatientID": "1"}, {"PatientID": "2"}, False),
        ({"PatientID": "1"}, {"PatientID": "1", "StudyID": "9"}, True),
        ({"PatientName": "Roe^Jane"}, {"PatientName": "ROE^JANE "}, True),
        ({"PatientID": "", "PatientName": "Roe^Jane"}, {"PatientID": "", "PatientName": "Doe^John"}, False),
        ({"PatientBirthDate": "19700101"}, {"PatientBirthDate": "19800101"}, False),
    ],
)
def test_patients_are_told_apart_by_a_hash(one, other, same):
    hashes = [read_facts(dicom_of(PIXELS, **tags), key=b"key").patient for tags in (one, other)]
    assert (hashes[0] == hashes[1]) == same
    assert all(len(found) == 16 for found in hashes)
    assert hashes[0] != read_facts(dicom_of(PIXELS, **one), key=b"another").patient


def test_a_slice_without_any_identity_has_no_hash_of_it():
    assert facts_of().patient == ""


@pytest.mark.parametrize(
    ("tags", "same"),
    [
        ({"SOPInstanceUID": ROOT + "9", "InstanceNumber": 4}, True),
        ({"RescaleIntercept": -1024, "RescaleSlope": 1}, False),
        ({"PhotometricInterpretation": "MONOCHROME1"}, False),
    ],
)
def test_equal_pixels_of_equal_meaning_have_one_hash(tags, same):
    assert (facts_of(**tags).pixels == facts_of().pixels) == same
    assert facts_of(PIXELS + np.uint16(1)).pixels != facts_of().pixels


@pytest.mark.parametrize(("said", "meant"), [("YES", True), ("NO", False), ("MAYBE", None)])
def test_burned_in_annotation_is_read(said, meant):
    assert facts_of(BurnedInAnnotation=said).burned_in is meant


def test_a_scanned_document_is_known_by_its_conversion():
    assert facts_of(ConversionType="SD").conversion == "SD"


@pytest.mark.parametrize(
    ("centre", "width", "windows"),
    [
        ([40, 50], [400], ((40.0, 400.0),)),
        ([40, 50], [0, 10], ((50.0, 10.0),)),
        ([40], None, ()),
    ],
)
def test_windows_without_a_width_are_left_out(centre, width, windows):
    assert facts_of(WindowCenter=centre, WindowWidth=width).windows == windows


def test_words_that_only_inform_are_dropped_when_they_cannot_be_read():
    file = dicom_of(PIXELS, WindowCenter="1234", WindowWidth="5678", InstanceNumber="9012", SliceThickness="3456")
    for value in (b"1234", b"9012", b"3456"):
        file = file.replace(value, b"?-?-")
    facts = read_facts(file)
    assert (facts.windows, facts.instance_number, facts.thickness) == ((), None, None)


@pytest.mark.parametrize(("creator", "expected"), [("SIEMENS MR HEADER", 36), ("SOMEBODY ELSE", None)])
def test_how_many_slices_a_mosaic_holds_is_read_of_siemens_own_element(creator, expected):
    dataset = dataset_of(np.zeros((4, 4), np.uint16), Modality="MR")
    dataset.add_new(0x00190010, "LO", creator)
    dataset.add_new(0x0019100A, "US", 36)
    assert read_facts(with_pixels(dataset, bytes(32), vr="OW")).mosaic == expected
