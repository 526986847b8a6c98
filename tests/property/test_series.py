"""Any series in space: the order it comes in changes nothing, and what is left out is found."""

import itertools
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from maskrelay.contract.records.dicom_facts import DicomFacts
from maskrelay.rules.series.stacks import group
from tests.support.builders.series import (
    along,
    names,
    object_of,
    slice_at,
    turned,
)

angle = st.floats(-3, 3)
place = st.floats(-500, 500)


@st.composite
def volumes(draw: Any, least: int = 2) -> list[DicomFacts]:
    """Evenly spaced slices in any orientation, named by their order along the normal."""
    orientation, normal = turned((draw(angle), draw(angle), draw(angle)))
    start = (draw(place), draw(place), draw(place))
    step = draw(st.floats(0.3, 10))
    side = draw(st.floats(0.2, 3))
    return [
        slice_at(f"{n}", along(start, normal, n * step), orientation, spacing=(side, side))
        for n in range(draw(st.integers(least, 25)))
    ]


@given(volumes(), st.randoms(use_true_random=False))
def test_a_volume_is_one_stack_in_its_order_however_it_comes(volume, random):
    shuffled = random.sample(volume, len(volume))
    [stack] = group(list(enumerate(shuffled)))
    assert names(stack, shuffled) == [f"{n}" for n in range(len(volume))]
    assert stack.places == tuple(range(len(volume)))
    assert (stack.findings, stack.is_volume) == ({}, True)


@given(volumes(least=6), st.data())
def test_what_is_left_out_within_is_found_in_place_and_number(volume, data):
    kept = sorted(data.draw(st.sets(st.integers(0, len(volume) - 1), min_size=3)))
    steps = [after - before for before, after in itertools.pairwise(kept)]
    assume(2 * steps.count(1) > len(steps))  # most neighbours are still there, or nothing tells a gap from a step
    [stack] = group([(number, volume[number]) for number in kept])
    assert stack.places == tuple(number - kept[0] for number in kept)
    assert stack.findings.get("gaps", ()) == tuple(step - 1 for step in steps if step > 1)


@given(volumes(), st.integers(1, 3))
def test_what_is_left_out_at_an_end_is_found_where_the_series_says_its_size(volume, missing):
    told = [facts.model_copy(update={"expected": len(volume) + missing}) for facts in volume]
    [stack] = group(list(enumerate(told)))
    assert stack.findings == {"missing_slices": (len(volume), len(volume) + missing)}


objects = st.builds(
    lambda name, series, row, depth, ordinal, placed: (
        slice_at(name, (0, row, depth), ordinal=ordinal, series=series) if placed else object_of(name, series=series)
    ),
    name=st.text("abc", min_size=1, max_size=2),
    series=st.sampled_from(["", "s", "t"]),
    row=st.sampled_from([0.0, 0.05, 3.0]),
    depth=st.one_of(st.integers(0, 6).map(float), st.floats(-1e7, 1e7)),
    ordinal=st.lists(st.integers(0, 2).map(float), max_size=3).map(tuple),
    placed=st.booleans(),
)


@given(st.lists(objects, max_size=20), st.randoms(use_true_random=False))
def test_any_objects_give_the_same_stacks_in_any_order_and_none_is_lost(chosen, random):
    numbered = list(enumerate(chosen))
    stacks = group(numbered)
    assert group(random.sample(numbered, len(numbered))) == stacks
    members = [member for stack in stacks for member in stack.members]
    assert len(members) == len(set(members))
    dropped = sum(int(stack.findings.get("duplicates", (0,))[0]) for stack in stacks)
    assert len(members) + dropped == len(chosen)
    for stack in stacks:
        assert list(stack.places) == sorted(stack.places)
        assert stack.places[0] == 0
        assert stack.places[-1] < 2 * len(stack.places) or not stack.is_volume


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_any_depths_are_ordered_and_numbered(depths):
    [stack] = group(list(enumerate(slice_at(f"{n}", (0, 0, depth)) for n, depth in enumerate(depths))))
    ordered = [depths[source] for source, _ in stack.members]
    within = 0.01 * 0.8
    assert all(after >= before - within for before, after in itertools.pairwise(ordered))
