"""Several volumes at one place, such as echoes or time points: what tells them apart, and what does not."""

import pytest

from maskrelay.contract.records.dicom_facts import DicomFacts
from maskrelay.rules.series.stacks import judge_partial
from tests.support.builders.series import (
    marks,
    names,
    slice_at,
)
from tests.unit.rules.series.grouping import grouped, only


def echoes(*ordinals: tuple[float, ...], depths: int = 3) -> list[DicomFacts]:
    """A slice at each depth for each ordinal, depth by depth."""
    return [
        slice_at(f"{depth}/{number}", (0, 0, depth), ordinal=ordinal)
        for depth in range(depths)
        for number, ordinal in enumerate(ordinals)
    ]


def test_echoes_at_one_position_become_a_stack_each():
    objects = echoes((1, 2, 0), (1, 1, 0))
    assert [names(stack, objects) for stack in grouped(objects)] == [["0/0", "1/0", "2/0"], ["0/1", "1/1", "2/1"]]
    assert all(stack.findings == {} and stack.is_volume for stack in grouped(objects))


def test_acquisitions_of_echoes_need_both_numbers():
    objects = echoes((1, 1), (1, 2), (2, 1), (2, 2))
    assert [len(stack.members) for stack in grouped(objects)] == [3, 3, 3, 3]


def test_an_echo_that_lacks_a_slice_has_the_gap_alone():
    objects = echoes((1,), (2,), depths=5)
    del objects[5]  # depth 2, the second echo
    first, second = grouped(objects)
    assert (first.findings, second.findings) == ({}, {"gaps": (1,)})


def volumes(*marked: dict[str, object], depths: int = 3) -> list[DicomFacts]:
    """A slice at each depth for each of these marks, depth by depth."""
    return echoes(*(marks(**one) for one in marked), depths=depths)


@pytest.mark.parametrize("clock", ["trigger_time", "acquisition_time", "content_time"])
def test_times_that_differ_everywhere_tell_apart_by_their_order(clock):
    objects = [
        slice_at(f"{depth}/{time}", (0, 0, depth), ordinal=marks(**{clock: 100.0 * time + depth}))
        for depth in range(3)
        for time in (1, 0)
    ]
    stacks = grouped(objects)
    assert [names(stack, objects) for stack in stacks] == [["0/1", "1/1", "2/1"], ["0/0", "1/0", "2/0"]]
    assert [stack.told_apart_by for stack in stacks] == [{"order": 2.0}, {"order": 1.0}]


@pytest.mark.parametrize(
    ("mark", "values"),
    [
        ("image_type", ("DERIVED\\PRIMARY\\DIXON\\WATER", "DERIVED\\PRIMARY\\DIXON\\FAT")),
        ("image_type", ("ORIGINAL\\PRIMARY\\M", "ORIGINAL\\PRIMARY\\P")),
        ("echo_time", (2.3, 4.6)),
        ("b_value", (0.0, 1000.0)),
        ("gradient_direction", ((), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))),
        ("temporal_position", (1.0, 2.0, 3.0)),
        ("inversion_time", (100.0, 500.0)),
        ("kernel", ("B30f", "B70f")),
        ("kvp", (80.0, 140.0)),
        ("cardiac_phase_percent", (30.0, 75.0)),
    ],
)
def test_volumes_at_one_place_become_a_stack_each_that_says_by_what(mark, values):
    objects = volumes(*({mark: value} for value in values))
    stacks = grouped(objects)
    assert [stack.told_apart_by for stack in stacks] == [{mark: value} for value in values]
    assert all(stack.findings == {} and stack.is_volume and len(stack.members) == 3 for stack in stacks)


def test_several_directions_of_one_b_value_are_a_stack_each_and_the_unweighted_volume_too():
    directions = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    objects = volumes({}, *({"b_value": 1000.0, "gradient_direction": one} for one in directions))
    assert [stack.told_apart_by for stack in grouped(objects)] == [
        {"b_value": 0.0, "gradient_direction": ()},
        *({"b_value": 1000.0, "gradient_direction": one} for one in directions),
    ]


def test_a_perfusion_of_two_echoes_is_told_apart_by_both():
    objects = [
        slice_at(f"{z}/{te}/{t}", (0, 0, z), ordinal=marks(echo_time=te, acquisition_time=100.0 * t + z + te))
        for z in range(3)
        for te in (10.0, 30.0)
        for t in range(4)
    ]
    stacks = grouped(objects)
    assert [stack.told_apart_by for stack in stacks] == [
        {"echo_time": te, "order": float(t + 1)} for te in (10.0, 30.0) for t in range(4)
    ]
    for stack in stacks:
        assert len({name.split("/", 1)[1] for name in names(stack, objects)}) == 1


def test_a_kind_that_cannot_be_resolved_leaves_the_others_whole():
    objects = [*volumes({"image_type": "M"}), *volumes({"image_type": "P"}, {"image_type": "P"})]
    objects = [facts.model_copy(update={"sop_instance": f"{number}"}) for number, facts in enumerate(objects)]
    whole, ambiguous = grouped(objects)
    assert (whole.findings, whole.told_apart_by) == ({}, {"image_type": "M"})
    assert (ambiguous.findings, ambiguous.told_apart_by) == ({"ambiguous_positions": (3,)}, {"image_type": "P"})


def test_two_series_of_one_uid_whose_slices_take_turns_are_two_volumes_by_their_instance_numbers():
    objects = [
        slice_at(f"{name}{number}", (0, 0, start + 2.5 * number), instance_number=number + 1)
        for name, start in (("a", 0.0), ("b", 1.25))
        for number in range(4)
    ]
    stacks = grouped(objects)
    assert [names(stack, objects) for stack in stacks] == [[f"{name}{number}" for number in range(4)] for name in "ab"]
    assert [(stack.told_apart_by, stack.step, stack.is_volume) for stack in stacks] == [
        ({"order": order}, 2.5, True) for order in (1.0, 2.0)
    ]


def test_two_echoes_whose_slices_take_turns_are_two_volumes():
    objects = [slice_at(f"{z}", (0, 0, z), ordinal=marks(echo_time=5.0 + z % 2)) for z in range(8)]
    stacks = grouped(objects)
    assert [names(stack, objects) for stack in stacks] == [["0", "2", "4", "6"], ["1", "3", "5", "7"]]


@pytest.mark.parametrize(
    "numbers", [[1, 2, 3, 4, 1, 2, 3, 4], [1] * 8, [4, 3, 2, 1, 8, 7, 6, 5], [1, 1, 2, 3, 4, 5, 6, 7]]
)
def test_instance_numbers_that_say_nothing_leave_one_volume(numbers):
    """Acquisitions one behind the other begin to count anew."""
    objects = [slice_at(f"{z}", (0, 0, z), instance_number=number) for z, number in enumerate(numbers)]
    assert (only(objects).findings, only(objects).is_volume) == ({}, True)


def test_a_time_that_would_mix_kinds_does_not_tell_apart():
    """Magnitude and phase of a slice are stored in either order."""
    objects = [
        slice_at(
            f"{z}/{kind}", (0, 0, z), ordinal=marks(image_type=kind, content_time=10.0 * z + (kind == "MP"[z % 2]))
        )
        for z in range(4)
        for kind in "MP"
    ]
    assert [{name[-1] for name in names(stack, objects)} for stack in grouped(objects)] == [{"M"}, {"P"}]


@pytest.mark.parametrize("ordinals", [[(1,), (1,)], [(), ()], [(1,), (1, 2)]])
def test_slices_that_nothing_tells_apart_are_ambiguous(ordinals):
    stack = only(echoes(*ordinals))
    assert stack.places == (0, 0, 1, 1, 2, 2)
    assert stack.findings == {"ambiguous_positions": (3,)}
    assert not stack.is_volume
    assert judge_partial(stack, "hold") == "hold"
