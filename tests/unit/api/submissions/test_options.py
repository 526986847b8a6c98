"""Options are read strictly: what is not understood is refused with a pointer to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.submissions.options import CallbackAsked, Options, OptionsAsked, read_json, read_options
from maskrelay.contract.records.events import TERMINAL_EVENTS
from maskrelay.contract.records.job import PixelOptions
from maskrelay.errors import Malformed, NestedTooDeep, OptionInvalid, OptionUnknown
from maskrelay.rules.item_options import OF_WHOLE_JOB, ItemOptionsAsked


def test_no_options_are_the_defaults_and_a_null_counts_as_absent() -> None:
    assert read_options({}) == Options()
    assert read_options({"lane": None, "callback": None, "outputs": None}) == Options()


def test_a_deadline_is_a_number_of_seconds_or_a_time_with_its_offset() -> None:
    assert read_options({"deadline": 90}).deadline == timedelta(seconds=90)
    at = datetime(2026, 5, 1, 8, tzinfo=UTC)
    assert read_options({"deadline": "2026-05-01T10:00:00+02:00"}).deadline == at


def test_a_callback_without_events_reports_every_end_of_the_job() -> None:
    callback = read_options({"callback": {"url": "https://example.org/hook"}}).callback
    assert callback is not None
    assert (callback.events, callback.secret) == (TERMINAL_EVENTS, None)


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"lane": "fast"}, "#/options/lane"),
        ({"outputs": []}, "#/options/outputs"),
        ({"outputs": "mask"}, "#/options/outputs"),
        ({"deadline": 0}, "#/options/deadline"),
        ({"deadline": True}, "#/options/deadline"),
        ({"deadline": "2026-05-01T10:00:00"}, "#/options/deadline"),
        ({"one_prompt_per_request": 1}, "#/options/one_prompt_per_request"),
        ({"metadata": []}, "#/options/metadata"),
        ({"metadata": {"a": "x" * (16 << 10)}}, "#/options/metadata"),
        ({"callback": {}}, "#/options/callback/url"),
        ({"callback": {"url": ""}}, "#/options/callback/url"),
        ({"callback": {"url": "https://example.org/\n"}}, "#/options/callback/url"),
        ({"callback": {"url": "https://example.org/", "secret": []}}, "#/options/callback/secret"),
        ({"callback": {"url": "https://example.org/", "secret": "too short"}}, "#/options/callback/secret"),
        ({"endpoint": "East"}, "#/options/endpoint"),
        ({"outputs": ["mask", {}]}, "#/options/outputs"),
        ({"callback": {"url": "https://example.org/", "events": ["job.begun"]}}, "#/options/callback/events"),
    ],
)
def test_a_value_that_is_not_understood_is_refused_by_name(options: dict[str, Any], pointer: str) -> None:
    with pytest.raises(OptionInvalid) as refused:
        read_options(options)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize("name", sorted(OptionsAsked.model_fields.keys() - {"callback"}))
def test_every_option_says_what_it_expects_and_quotes_nothing(name: str) -> None:
    with pytest.raises(OptionInvalid) as refused:
        read_options({name: "patient 4711" if name == "metadata" else {"patient": 4711}})
    assert refused.value.pointer == f"#/options/{name}"
    assert refused.value.detail.endswith(".")
    assert "4711" not in refused.value.detail


@pytest.mark.parametrize("name", sorted(CallbackAsked.model_fields))
def test_every_part_of_a_callback_says_what_it_expects(name: str) -> None:
    with pytest.raises(OptionInvalid) as refused:
        read_options({"callback": {"url": "https://example.org/", name: {"patient": 4711}}})
    assert refused.value.pointer == f"#/options/callback/{name}"
    assert "4711" not in refused.value.detail


def test_a_callback_that_is_no_object_or_has_an_unknown_part_is_refused() -> None:
    with pytest.raises(Malformed) as malformed:
        read_options({"callback": "https://example.org/"})
    with pytest.raises(OptionUnknown, match="url") as unknown:
        read_options({"callback": {"address": "https://example.org/"}})
    assert malformed.value.pointer == "#/options/callback"
    assert unknown.value.pointer == "#/options/callback/address"


def test_what_is_stored_of_the_pixel_options_has_their_names_and_defaults() -> None:
    asked = {name: OptionsAsked.model_fields[name].default for name in PixelOptions.model_fields}
    assert asked == PixelOptions().model_dump()


def test_every_option_is_of_an_item_or_of_the_whole_job() -> None:
    of_items = ItemOptionsAsked.model_fields.keys()
    assert OptionsAsked.model_fields.keys() - of_items == OF_WHOLE_JOB
    assert of_items <= OptionsAsked.model_fields.keys()


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(OptionUnknown, match="outputs") as refused:
        read_options({"output": ["mask"]})
    assert refused.value.pointer == "#/options/output"


def test_json_that_cannot_be_read_or_is_nested_too_deep_is_refused_where_it_was_sent() -> None:
    with pytest.raises(Malformed) as malformed:
        read_json(b'{"a": ', "#/body")
    with pytest.raises(NestedTooDeep) as nested:
        read_json(b"[" * 40 + b"]" * 40, "#/form/options")
    assert (malformed.value.pointer, nested.value.pointer) == ("#/body", "#/form/options")
