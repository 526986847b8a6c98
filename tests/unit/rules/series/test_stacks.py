"""Series to stacks: what belongs together, in which order, and what is found amiss."""

import random
from pathlib import Path

import pydicom
import pytest

from maskrelay.contract.records.dicom_facts import DicomFacts
from maskrelay.contract.records.series_stack import SeriesStack
from maskrelay.rules.series.stacks import judge_partial
from tests.support.builders.series import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    axial,
    marks,
    names,
    object_of,
    slice_at,
)
from tests.unit.rules.series.grouping import grouped, only


def test_slices_are_ordered_by_position_whatever_their_instance_numbers_say():
    objects = axial([0, 2.5, 5, 7.5])
    shuffled = [objects[number] for number in (2, 0, 3, 1)]
    stack = only(shuffled)
    assert names(stack, shuffled) == ["0", "1", "2", "3"]
    assert stack.places == (0, 1, 2, 3)
    assert (stack.step, stack.spacing, stack.orientation) == (2.5, (0.8, 0.8), AXIAL)
    assert (stack.findings, stack.is_volume) == ({}, True)


def test_the_order_increases_along_the_normal_of_the_rows_and_columns():
    flipped = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
    objects = [slice_at(f"{z}", (0, 0, z), flipped) for z in (1, 2, 3)]
    assert names(only(objects), objects) == ["3", "2", "1"]


def test_series_are_apart_and_come_as_they_were_given():
    objects = [slice_at(name, (0, 0, depth), series=name[0]) for depth, name in enumerate(["b0", "a0", "b1", "a1"])]
    assert [names(stack, objects) for stack in grouped(objects)] == [["b0", "b1"], ["a0", "a1"]]


def test_objects_without_a_series_do_not_become_one():
    objects = axial([0, 1], series="")
    assert [len(stack.members) for stack in grouped(objects)] == [1, 1]


def test_a_localizer_is_a_stack_of_its_own_and_both_say_so():
    objects = [*axial([0, 1, 2]), slice_at("scout", (0, 0, 0), CORONAL), slice_at("other", (0, 0, 0), SAGITTAL)]
    stacks = grouped(objects)
    assert [names(stack, objects) for stack in stacks] == [["0", "1", "2"], ["scout"], ["other"]]
    assert all(stack.findings == {"mixed_orientations": (3,)} for stack in stacks)
    assert stacks[0].is_volume


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"rows": 65}, "mixed_sizes"),
        ({"samples": 3}, "mixed_sizes"),
        ({"spacing": (0.4, 0.4)}, "mixed_sizes"),
        ({"frame_of_reference": "9"}, "mixed_frames_of_reference"),
        ({"patient": "other"}, "mixed_patients"),
        ({"study": "1.3"}, "mixed_studies"),
        ({"series_number": 7}, "mixed_series"),
        ({"modality": "MR"}, "mixed_series"),
    ],
)
def test_slices_of_another_size_space_or_patient_are_a_stack_of_their_own(more, found):
    objects = [*axial([0, 1]), slice_at("other", (-10, 20, 2), **more)]
    stacks = grouped(objects)
    assert [names(stack, objects) for stack in stacks] == [["0", "1"], ["other"]]
    assert all(stack.findings == {found: (2,)} for stack in stacks)


def test_two_patients_of_one_series_uid_whose_slices_lie_between_each_other_are_two_volumes():
    one, other = axial([0, 2.5, 5, 7.5], patient="a", study="1"), axial([1.25, 3.75, 6.25], patient="b", study="2")
    stacks = grouped([*one, *other])
    assert [len(stack.members) for stack in stacks] == [4, 3]
    assert all(stack.is_volume for stack in stacks)
    assert all(stack.findings == {"mixed_patients": (2,), "mixed_studies": (2,)} for stack in stacks)


def test_rounded_cosines_and_spacings_are_one_orientation_and_one_size():
    nearly = (0.9999997, 0.0005, 0, -0.0005, 0.9999997, 0)
    stack = only([slice_at("a", (0, 0, 0)), slice_at("b", (0, 0, 1), nearly, spacing=(0.8, 0.80001))])
    assert (len(stack.members), stack.findings) == (2, {})


def test_the_same_object_twice_counts_once_and_the_first_is_kept():
    objects = axial([0, 1, 2])
    stack = only([objects[2], objects[0], objects[1], objects[0], objects[0]])
    assert stack.members == ((1, 0), (2, 0), (0, 0))
    assert (stack.findings, stack.is_volume) == ({"duplicates": (2,)}, True)


def test_a_slice_sent_again_under_another_identity_counts_once():
    objects = axial([0, 1, 2])
    objects = [facts.model_copy(update={"pixels": f"pixels {number}"}) for number, facts in enumerate(objects)]
    again = [facts.model_copy(update={"sop_instance": f"{facts.sop_instance} again"}) for facts in objects[1:]]
    stack = only([*objects, *again])
    assert stack.members == ((0, 0), (1, 0), (2, 0))
    assert (stack.findings, stack.is_volume) == ({"duplicates": (2,)}, True)


def test_one_identity_with_other_pixels_at_one_place_is_another_object():
    objects = [slice_at("same", (0, 0, 0), pixels="a"), slice_at("same", (0, 0, 0), pixels="b")]
    assert only(objects).findings == {"ambiguous_positions": (1,)}


def test_equal_pixels_at_one_place_that_differ_in_their_time_are_repeats_only_where_times_tell_no_volumes_apart():
    objects = [slice_at(f"{z}", (0, 0, z), pixels=f"{z}", ordinal=marks(acquisition_time=float(z))) for z in range(3)]
    again = slice_at("again", (0, 0, 1), pixels="1", ordinal=marks(acquisition_time=9.0))
    stack = only([*objects, again])
    assert (names(stack, objects), stack.findings, stack.is_volume) == (["0", "1", "2"], {"duplicates": (1,)}, True)


def test_empty_pictures_of_a_perfusion_are_no_repeats():
    objects = [
        slice_at(f"{z}/{t}", (0, 0, z), pixels="black" if z == 0 else f"{z}{t}", ordinal=marks(acquisition_time=t + z))
        for z in range(3)
        for t in (10.0, 20.0)
    ]
    stacks = grouped(objects)
    assert [names(stack, objects) for stack in stacks] == [
        ["0/10.0", "1/10.0", "2/10.0"],
        ["0/20.0", "1/20.0", "2/20.0"],
    ]
    assert [stack.told_apart_by for stack in stacks] == [{"order": 1.0}, {"order": 2.0}]
    assert all(stack.findings == {} for stack in stacks)


def test_one_identity_at_several_positions_is_several_slices():
    stack = only([slice_at("same", (0, 0, depth)) for depth in (0, 1, 2)])
    assert (len(stack.members), stack.findings) == (3, {})


@pytest.mark.parametrize("policy", ["fail", "best_effort", "hold"])
def test_a_gap_skips_numbers_and_the_policy_decides(policy):
    stack = only(axial([0, 2, 8, 10, 14, 16, 18, 20, 22]))
    assert stack.places == (0, 1, 4, 5, 7, 8, 9, 10, 11)
    assert stack.findings == {"gaps": (2, 1)}
    assert (stack.step, stack.is_volume) == (2, True)
    assert judge_partial(stack, policy) == {"best_effort": "go"}.get(policy, policy)


def test_few_slices_far_apart_are_no_volume():
    stack = only(axial([0, 1, 2, 3, 500]))
    assert stack.findings["gaps"] == (496,)
    assert not stack.is_volume


def test_a_missing_end_is_found_by_what_the_series_says_to_have():
    stack = only(axial([0, 1, 2], expected=5))
    assert stack.findings == {"missing_slices": (3, 5)}
    assert judge_partial(stack, "fail") == "fail"
    assert only(axial([0, 1, 2], expected=3)).findings == {}


def test_a_series_of_fewer_slices_than_its_acquisition_had_is_whole():
    stack = only(axial([0, 1, 2, 3], acquired=240))
    assert stack.findings == {"fewer_than_acquired": (4, 240)}
    assert (judge_partial(stack, "fail"), stack.is_volume) == ("go", True)


def test_one_slice_alone_goes_though_its_series_has_more():
    stack = only(axial([0], expected=240))
    assert stack.findings == {"missing_slices": (1, 240)}
    assert judge_partial(stack, "fail") == "go"


@pytest.mark.parametrize(
    ("depths", "off"), [([0, 5, 7, 10, 15, 20], 4), ([0, 1, 2, 3.2, 4], 1), ([0, 1, 2, 3.05, 4], 0)]
)
def test_slices_off_the_even_grid_are_counted_and_make_no_volume(depths, off):
    stack = only(axial(depths))
    assert stack.findings.get("uneven_steps", (0,)) == (off,)
    assert stack.is_volume == (off == 0)
    assert judge_partial(stack, "fail") == "go"


def test_a_tilted_gantry_is_found_and_is_no_volume():
    stack = only([slice_at(f"{z}", (0, z * 0.3, z)) for z in range(4)])
    assert stack.findings == {"tilted": (0.9,)}
    assert not stack.is_volume
    assert only([slice_at(f"{z}", (0, z * 0.01, z)) for z in range(4)]).findings == {}


def test_without_a_spacing_there_is_no_volume_and_a_tenth_of_a_millimetre_is_aside():
    stack = only([slice_at(f"{z}", (0, z * 0.09, z), spacing=None) for z in range(3)])
    assert (stack.findings, stack.is_volume) == ({"tilted": (0.18,)}, False)


def test_a_slice_alone_has_its_thickness_for_a_step():
    stack = only(axial([3], thickness=5.0))
    assert (stack.step, stack.places, stack.is_volume) == (5, (0,), True)
    stack = only(axial([3]))
    assert (stack.step, stack.is_volume) == (None, False)


def test_objects_without_a_position_are_on_their_own():
    objects = [object_of("a"), object_of("b"), object_of("c", positions=((0, 0, 0),))]
    stacks = grouped(objects)
    assert [stack.members for stack in stacks] == [((0, 0),), ((1, 0),), ((2, 0),)]
    assert all(stack.orientation is None and not stack.is_volume and stack.findings == {} for stack in stacks)


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 1, 0, 0), (0, 0, 0, 0, 0, 0), (2, 0, 0, 0, 1, 0), (float("nan"), 0, 0, 0, 1, 0)]
)
def test_an_orientation_that_is_none_counts_as_absent(orientation):
    stack = only([slice_at("a", (0, 0, 0), orientation)])
    assert stack.orientation is None


@pytest.mark.parametrize("place", [{}, {"positions": ((0, 0, 0),) * 4, "orientations": (AXIAL,) * 4}])
def test_a_clip_is_one_stack_in_the_order_of_its_frames(place):
    stack = only([object_of("clip", frames=4, **place)])
    assert stack.members == ((0, 0), (0, 1), (0, 2), (0, 3))
    assert (stack.places, stack.findings, stack.is_volume) == ((0, 1, 2, 3), {}, False)


def enhanced(order: list[int], **more: object) -> DicomFacts:
    positions = tuple((0.0, 0.0, float(depth)) for depth in order)
    frames = len(order)
    return object_of("enhanced", frames=frames, positions=positions, orientations=(AXIAL,) * frames, **more)


def test_frames_of_an_enhanced_object_are_ordered_by_their_positions():
    stack = only([enhanced([3, 0, 2, 1])])
    assert stack.members == ((0, 1), (0, 3), (0, 2), (0, 0))
    assert (stack.places, stack.is_volume) == ((0, 1, 2, 3), True)


def test_frames_of_an_enhanced_object_are_told_apart_by_their_own_ordinals():
    ordinals = ((2.0,), (1.0,), (2.0,), (1.0,))
    stacks = grouped([enhanced([0, 0, 1, 1], frame_ordinals=ordinals)])
    assert [stack.members for stack in stacks] == [((0, 0), (0, 2)), ((0, 1), (0, 3))]


def test_a_stack_goes_through_json_unchanged():
    stack = only(axial([0, 1, 3, 4, 5], expected=9))
    assert SeriesStack.model_validate_json(stack.model_dump_json()) == stack


def read_facts(path: Path) -> DicomFacts:
    header = pydicom.dcmread(path, stop_before_pixels=True)
    orientation, position = header.get("ImageOrientationPatient"), header.get("ImagePositionPatient")
    return object_of(
        header.SOPInstanceUID,
        series=header.SeriesInstanceUID,
        modality=header.Modality,
        rows=header.Rows,
        columns=header.Columns,
        spacing=tuple(header.PixelSpacing) if "PixelSpacing" in header else None,
        orientations=(tuple(orientation),) if orientation else (),
        positions=(tuple(position),) if position else (),
        frame_of_reference=header.get("FrameOfReferenceUID"),
        instance_number=header.InstanceNumber,
    )


def test_the_series_of_a_real_dicomdir_are_grouped_by_its_folders():
    folder = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
    paths = [path for study in ("77654033", "98892001", "98892003") for path in (folder / study).rglob("*")]
    paths = [path for path in paths if path.is_file()]
    random.Random(5).shuffle(paths)
    stacks = grouped([read_facts(path) for path in paths])
    found: dict[str, list[int]] = {}
    for stack in stacks:
        folders = {paths[source].parent.name for source, _ in stack.members}
        assert len(folders) == 1
        found.setdefault(folders.pop(), []).append(len(stack.members))
    assert {name: sorted(sizes) for name, sizes in found.items()} == {
        "CR1": [1],
        "CR2": [1],
        "CR3": [1],
        "CT2": [4],
        "CT2N": [1, 1],  # two scouts
        "CT5N": [5],
        "MR1": [1, 1, 1],  # three series
        "MR2": [1] * 7,  # a series of one, and two of three orientations
        "MR700": [1] * 7,  # turned around an axis
    }


def test_a_real_series_with_one_slice_far_off_has_one_gap():
    folder = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests" / "77654033" / "CT2"
    stack = only([read_facts(path) for path in sorted(folder.iterdir())])
    assert stack.findings == {"gaps": (161,)}
    assert (stack.step, stack.is_volume) == (1.25, False)
