"""What may be said of how sources become frames: taken as it is said, or refused by name."""

from typing import Any

import httpx
import pytest

from maskrelay.contract.vocabulary.intensity_names import ExplicitWindow
from tests.support.builders.pictures import gradient, saved
from tests.support.builders.zips import a_zip
from tests.support.drivers.api_jobs import submission_of, submit
from tests.support.drivers.runs import PROMPT, uploaded
from tests.support.servers.apis import RunningApi

TAKEN: dict[str, Any] = {
    "intensity": "ct-lung",
    "group_series": False,
    "partial_series": "hold",
    "slice_axis": "coronal",
    "volume": 3,
    "square_pixels": True,
    "burned_in": "refuse",
    "identifiers": "hashed",
}
REFUSED: list[tuple[str, Any]] = [
    ("intensity", "ct-knee"),
    ("intensity", {"window": [250, -150]}),
    ("intensity", {"window": [0, 1], "more": 2}),
    ("group_series", "yes"),
    ("partial_series", "ignore"),
    ("slice_axis", "oblique"),
    ("slice_axis", 3),
    ("volume", -1),
    ("volume", 1.5),
    ("square_pixels", 1),
    ("burned_in", "hide"),
    ("identifiers", "names"),
    ("one_prompt_per_request", "no"),
]


def test_every_option_is_taken_and_kept(api: RunningApi, north: httpx.Client) -> None:
    answer = submit(north, b"pixels", options={**TAKEN, "one_prompt_per_request": True})
    assert answer.status_code == 202, answer.text
    submission = submission_of(api, answer.json()["id"])
    assert submission.pixels.model_dump() == TAKEN
    assert submission.one_prompt_per_request


def test_a_window_of_ones_own_is_kept_as_numbers(api: RunningApi, north: httpx.Client) -> None:
    answer = submit(north, b"pixels", options={"intensity": {"window": [-10, 300.5]}})
    assert submission_of(api, answer.json()["id"]).pixels.intensity == ExplicitWindow(window=(-10, 300.5))


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_another_value_is_refused_by_the_options_name(north: httpx.Client, name: str, value: Any) -> None:
    answer = submit(north, b"pixels", options={name: value})
    assert answer.status_code == 422
    assert answer.json()["code"] == "option_invalid"
    assert answer.json()["errors"][0]["pointer"] == f"#/options/{name}"


def test_an_option_makes_another_request(api: RunningApi, north: httpx.Client) -> None:
    headers = {"Idempotency-Key": "the same"}
    assert submit(north, b"pixels", headers=headers, options={"square_pixels": True}).status_code == 202
    assert submit(north, b"pixels", headers=headers, options={"square_pixels": True}).status_code == 202
    assert submit(north, b"pixels", headers=headers, options={"square_pixels": False}).status_code == 422


def test_an_option_of_an_item_makes_another_request_and_is_refused_by_its_name(north: httpx.Client) -> None:
    headers = {"Idempotency-Key": "the same"}
    [upload] = uploaded(north, b"pixels")

    def post(volume: int) -> httpx.Response:
        items = [{"upload": upload, "options": {"volume": volume}}]
        return north.post("/v1/jobs", json={"prompts": [PROMPT], "items": items}, headers=headers)

    first = post(1)
    assert (first.status_code, post(1).json()["id"]) == (202, first.json()["id"])
    assert post(2).json()["code"] == "idempotency_key_reused"
    refused = post(-1)
    assert (refused.status_code, refused.json()["code"]) == (422, "option_invalid")
    assert refused.json()["errors"][0]["pointer"] == "#/items/0/options/volume"


def test_what_an_upload_is_stands_in_the_submission(api: RunningApi, north: httpx.Client) -> None:
    files = [saved(gradient(), "PNG"), saved(gradient(), "TIFF"), a_zip(("a", b"b")), bytes(128) + b"DICM"]
    answer = submit(north, *files)
    assert [item.kind for item in submission_of(api, answer.json()["id"]).items] == ["still", "tiff", "zip", "dicom"]
