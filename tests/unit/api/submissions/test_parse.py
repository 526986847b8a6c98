import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from api.dependencies import Limits
from api.submissions.options import CallbackOption, Options
from api.submissions.parse import (
    RequestedItem,
    SubmissionRequest,
    identifying_options,
    read_body,
    read_form,
)
from api.submissions.uploads import REFUSED_BEFORE, Upload
from maskrelay.contract.records.job import ItemOptions
from maskrelay.errors import LaneForbidden, NoItems, OptionInvalid, OptionUnknown

LIMITS = Limits(
    body_bytes=1000, image_bytes=1000, items=30, prompts=3, prompt_length=40, upload_lifetime=timedelta(days=1)
)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
UPLOAD = Upload("a" * 26, "uploads/t/a", 3, "0" * 64, "eye.png", NOW)
WANTED = SubmissionRequest((RequestedItem("0", ("liver", "spleen")),), (UPLOAD,), Options(metadata={"a": 1, "b": [2]}))


def test_the_fingerprint_does_not_know_upload_ids_names_times_or_the_order_of_members() -> None:
    upload = replace(UPLOAD, id="b" * 26, key="uploads/t/b", source_name=None, at=NOW + timedelta(hours=1))
    options = Options(metadata={"b": [2], "a": 1})
    same = SubmissionRequest((RequestedItem("0", ("liver", "spleen"), "b" * 26),), (upload,), options)
    assert same.fingerprint() == WANTED.fingerprint()


def test_a_request_from_before_an_upgrade_has_the_same_fingerprint_after_it() -> None:
    assert WANTED.fingerprint() == "ea802a359bffadc1f4272b55ab713c1c647aa495cc879485ce9d1ec788286b54"


def test_an_option_that_is_added_later_counts_only_if_it_differs_from_its_default() -> None:
    options, defaults = {"lane": None, "new": 1, "newer": 2}, {"lane": None, "new": 1, "newer": 3}
    assert identifying_options(options, defaults) == {"lane": None, "newer": 2}


@pytest.mark.parametrize(
    "other",
    [
        replace(WANTED, sources=(replace(UPLOAD, sha256="1" * 64),)),
        replace(WANTED, sources=(replace(UPLOAD, size=4),)),
        replace(WANTED, items=(RequestedItem("0", ("spleen", "liver")),)),
        replace(WANTED, items=(RequestedItem("0", ("liver & spleen",)),)),
        replace(WANTED, items=(RequestedItem("1", ("liver", "spleen")),)),
        replace(WANTED, items=(RequestedItem("0", ("liver", "spleen"), options=ItemOptions(volume=0)),)),
        replace(WANTED, options=Options()),
        replace(WANTED, options=replace(WANTED.options, lane="bulk")),
        replace(WANTED, options=replace(WANTED.options, outputs=("mask",))),
        replace(WANTED, options=replace(WANTED.options, deadline=timedelta(hours=1))),
        replace(WANTED, options=replace(WANTED.options, deadline=NOW)),
        replace(WANTED, options=replace(WANTED.options, callback=CallbackOption("http://a/", None, ("job.failed",)))),
        replace(WANTED, items=WANTED.items * 2, sources=WANTED.sources * 2),
    ],
)
def test_the_fingerprint_knows_everything_else(other: SubmissionRequest) -> None:
    assert other.fingerprint() != WANTED.fingerprint()


def test_without_options_each_source_gets_what_suits_it() -> None:
    items, options = read_form({"prompt": [b" liver "], "options": []}, 2, LIMITS)
    assert items == (RequestedItem("0", ("liver",)), RequestedItem("1", ("liver",)))
    assert (options.outputs, options.callback, options.lane, options.metadata) == ((), None, None, {})


def test_outputs_and_events_come_in_one_order_whatever_was_asked() -> None:
    asked = {"outputs": ["probability", "mask", "mask"], "callback": {"url": "http://a/", "events": ["job.running"]}}
    _, options = read_form({"prompt": [b"liver"], "options": [json.dumps(asked).encode()]}, 1, LIMITS)
    assert options.outputs == ("mask", "probability")
    assert options.callback == CallbackOption("http://a/", None, ("job.running",))


def test_an_absent_member_and_a_null_are_the_same() -> None:
    item = {"upload": "a" * 26, "custom_id": None, "prompts": None}
    body = {"items": [item], "prompts": ["liver"], "options": None}
    assert read_body(body, LIMITS) == ((RequestedItem("0", ("liver",), "a" * 26),), Options())


def test_an_item_has_options_of_its_own() -> None:
    item = {"upload": "a" * 26, "options": {"slice_axis": 1, "outputs": ["nifti", "mask"], "volume": None}}
    items, _ = read_body({"items": [item, {**item, "custom_id": "b", "options": {}}], "prompts": ["liver"]}, LIMITS)
    assert [each.options for each in items] == [ItemOptions(slice_axis=1, outputs=("mask", "nifti")), None]


def test_a_wrong_option_of_an_item_is_refused_by_its_place() -> None:
    good = {"upload": "a" * 26}
    for error, options, pointer in [
        (OptionInvalid, {"slice_axis": 3}, "#/items/1/options/slice_axis"),
        (OptionUnknown, {"reuse": True}, "#/items/1/options/reuse"),
        (OptionUnknown, {"colour": True}, "#/items/1/options"),
    ]:
        with pytest.raises(error) as refused:
            read_body({"items": [good, {**good, "options": options}], "prompts": ["liver"]}, LIMITS)
        assert refused.value.pointer == pointer


def test_a_form_without_an_image_has_no_item() -> None:
    with pytest.raises(NoItems):
        read_form({"prompt": [b"liver"], "options": []}, 0, LIMITS)


def test_the_lane_is_decided_by_the_number_of_items_and_bulk_may_be_asked_for() -> None:
    many = replace(WANTED, items=WANTED.items * 21)
    assert (WANTED.lane(), many.lane()) == ("interactive", "bulk")
    assert replace(WANTED, options=Options(lane="bulk")).lane() == "bulk"
    with pytest.raises(LaneForbidden) as raised:
        replace(many, options=Options(lane="interactive")).lane()
    assert raised.value.pointer == "#/options/lane"


def test_an_upload_expires_an_hour_before_it_may_be_swept() -> None:
    lifetime = timedelta(days=2)
    last = NOW + lifetime - REFUSED_BEFORE
    assert timedelta(hours=1) == REFUSED_BEFORE
    assert not UPLOAD.is_expired(last, lifetime)
    assert UPLOAD.is_expired(last + timedelta(seconds=1), lifetime)
