"""The options of single items: read strictly, and laid over those of the job."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskrelay.contract.records.job import BurnedIn, ItemOptions, PixelOptions, SliceAxis, Submission
from maskrelay.contract.vocabulary.intensity_names import PRESETS, ExplicitWindow
from maskrelay.contract.vocabulary.outputs import ItemOutput
from maskrelay.errors import LineInvalid, Malformed, OptionInvalid, OptionUnknown, RequestError
from maskrelay.rules.item_options import (
    OF_WHOLE_JOB,
    EffectiveOptions,
    ItemOptionsAsked,
    effective_options,
    read_item_options,
)
from maskrelay.rules.run_lines import read_line

AT = "#/options"


class Limits:
    prompts, prompt_length = 3, 40


def submission(**fields: Any) -> Submission:
    about = {"id": "a" * 26, "tenant": "north", "created_at": datetime.now(UTC), "lane": "bulk", "outputs": ()}
    return Submission.model_validate({**about, "fingerprint": "f", "total": 1, **fields})


def read(given: dict[str, Any]) -> ItemOptions:
    found = read_item_options(given, AT)
    assert found is not None
    return found


def test_what_is_stored_has_the_names_of_what_is_requested() -> None:
    assert ItemOptions.model_fields.keys() == ItemOptionsAsked.model_fields.keys()


def test_options_are_kept_and_outputs_come_in_one_order() -> None:
    given = {"outputs": ["seg", "mask", "mask"], "intensity": {"window": [-10, 90]}, "slice_axis": 0, "volume": 2}
    assert read({**given, "square_pixels": False, "burned_in": "refuse"}) == ItemOptions(
        outputs=("mask", "seg"),
        intensity=ExplicitWindow(window=(-10, 90)),
        slice_axis=0,
        volume=2,
        square_pixels=False,
        burned_in="refuse",
    )


@pytest.mark.parametrize("given", [{}, {"outputs": None}, dict.fromkeys(ItemOptionsAsked.model_fields)])
def test_an_item_with_nothing_but_nulls_has_no_options(given: dict[str, None]) -> None:
    assert read_item_options(given, AT) is None


REFUSED: list[tuple[Any, type[RequestError], str]] = [
    ([], Malformed, AT),
    ({"colour": 1}, OptionUnknown, AT),
    ({"outputs": []}, OptionInvalid, f"{AT}/outputs"),
    ({"outputs": "mask"}, OptionInvalid, f"{AT}/outputs"),
    ({"outputs": ["mask", "report"]}, OptionInvalid, f"{AT}/outputs"),
    ({"intensity": "ct-knee"}, OptionInvalid, f"{AT}/intensity"),
    ({"intensity": {"window": [2, 1]}}, OptionInvalid, f"{AT}/intensity"),
    ({"slice_axis": "oblique"}, OptionInvalid, f"{AT}/slice_axis"),
    ({"volume": -1}, OptionInvalid, f"{AT}/volume"),
    ({"volume": "1"}, OptionInvalid, f"{AT}/volume"),
    ({"square_pixels": "yes"}, OptionInvalid, f"{AT}/square_pixels"),
    ({"burned_in": "hide"}, OptionInvalid, f"{AT}/burned_in"),
]


@pytest.mark.parametrize(("given", "error", "pointer"), REFUSED)
def test_another_value_is_refused_by_its_place(given: Any, error: type[RequestError], pointer: str) -> None:
    with pytest.raises(error) as refused:
        read_item_options(given, AT)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize("name", sorted(ItemOptionsAsked.model_fields))
def test_every_option_says_what_it_expects_and_quotes_nothing(name: str) -> None:
    with pytest.raises(OptionInvalid) as refused:
        read_item_options({name: {"patient": 4711}}, AT)
    assert refused.value.detail.startswith("Expected")
    assert "4711" not in refused.value.detail


@pytest.mark.parametrize("name", sorted(OF_WHOLE_JOB))
def test_an_option_of_the_whole_job_is_refused_by_name(name: str) -> None:
    for line, pointer in [({"options": {name: 1}}, f"{AT}/{name}"), ({name: 1}, f"#/{name}")]:
        with pytest.raises(OptionUnknown, match=f"`{name}` is an option of the whole job") as refused:
            read_line({"source": "s3://b/a.png", **line}, "0", ("liver",), Limits())
        assert refused.value.pointer == pointer


def test_a_line_has_options_and_its_errors_are_relative_to_it() -> None:
    line = {"source": "s3://b/a.nii", "options": {"slice_axis": "coronal"}}
    assert read_line(line, "0", ("liver",), Limits()).options == ItemOptions(slice_axis="coronal")
    assert read_line({**line, "options": None}, "0", ("liver",), Limits()).options is None
    with pytest.raises(OptionInvalid) as refused:
        read_line({**line, "options": {"volume": -1}}, "0", ("liver",), Limits())
    assert refused.value.pointer == "#/options/volume"
    with pytest.raises(LineInvalid):
        read_line({"options": {"volume": 1}}, "0", ("liver",), Limits())


def test_an_item_overrides_the_options_of_its_job_but_not_the_outputs_of_the_whole_job() -> None:
    job = submission(outputs=("overlay", "table", "report"), pixels=PixelOptions(volume=1, identifiers="none"))
    assert effective_options(job, None) == EffectiveOptions(job.outputs, job.pixels)
    own = ItemOptions(outputs=("mask",), volume=0, square_pixels=True)
    expected = PixelOptions(volume=0, identifiers="none", square_pixels=True)
    assert effective_options(job, own) == EffectiveOptions(("mask", "table", "report"), expected)
    assert effective_options(job, ItemOptions(slice_axis=0)).outputs == job.outputs


windows = st.tuples(st.integers(-1000, 0), st.integers(1, 1000)).map(lambda limits: ExplicitWindow(window=limits))
options = st.builds(
    ItemOptions,
    outputs=st.none() | st.sets(st.sampled_from(get_args(ItemOutput)), min_size=1).map(tuple),
    intensity=st.none() | st.sampled_from(PRESETS) | windows,
    slice_axis=st.none() | st.sampled_from(get_args(SliceAxis)),
    volume=st.none() | st.integers(0, 9),
    square_pixels=st.none() | st.booleans(),
    burned_in=st.none() | st.sampled_from(get_args(BurnedIn)),
)


@given(options, st.sets(st.sampled_from(["table", "report"])), options, st.booleans())
def test_an_item_that_repeats_the_options_of_its_job_changes_nothing(
    given: ItemOptions, outputs_of_job: set[str], own: ItemOptions, grouped: bool
) -> None:
    """The result of overriding, taken as the options of a job, is not changed by the same options of an item."""
    job = submission(outputs=tuple(outputs_of_job), pixels=PixelOptions(group_series=grouped))
    effective = effective_options(job, given)
    same_job = submission(outputs=effective.outputs, pixels=effective.pixels)
    found = effective_options(same_job, given)
    assert found == effective
    assert hash(found) == hash(effective)
    other = effective_options(same_job, own)
    names = [name for name in ItemOptions.model_fields if name != "outputs"]
    for name in names:
        chosen = getattr(own, name)
        assert getattr(other.pixels, name) == (getattr(effective.pixels, name) if chosen is None else chosen)
    assert other.pixels.group_series == grouped
