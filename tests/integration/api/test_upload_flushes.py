"""A response comes when everything is on the disk, and several files need few more flushes than one."""

from collections.abc import Iterator

import httpx
import pytest

from maskrelay.storage import flushing
from tests.support.checks.flushes import Flushes, recorded_flushes
from tests.support.drivers.api_jobs import PROMPT, accepted
from tests.support.servers.apis import RunningApi

PICTURES = [bytes([number]) * 5000 for number in range(20)]


@pytest.fixture(autouse=True)
def flushed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store of the API flush several objects together, as on the usual file systems of Linux."""
    monkeypatch.setattr(flushing, "_file_system_of", lambda _: "ext4")


@pytest.fixture
def flushes(api: RunningApi, north: httpx.Client) -> Iterator[Flushes]:
    accepted(north, b"first")  # makes the folders that every job needs
    with recorded_flushes(api.folder) as seen:
        yield seen


def upload(north: httpx.Client, pictures: list[bytes]) -> list[str]:
    answer = north.post("/v1/uploads", files=[("image", (f"{n}.png", body)) for n, body in enumerate(pictures)])
    return [one["id"] for one in answer.raise_for_status().json()["uploads"]]


def test_twenty_pictures_of_a_request_are_flushed_together(north: httpx.Client, flushes: Flushes) -> None:
    upload(north, PICTURES)
    assert flushes.count <= 2
    assert flushes.lost() == set()


@pytest.mark.parametrize("several", [1, 20])
def test_a_job_of_uploads_takes_the_same_few_flushes_however_many_they_are(
    north: httpx.Client, flushes: Flushes, several: int
) -> None:
    uploads = upload(north, PICTURES[:several])
    before = flushes.count
    items = [{"upload": one} for one in uploads]
    north.post("/v1/jobs", json={"items": items, "prompts": [PROMPT]}).raise_for_status()
    assert flushes.count - before <= 4
    assert flushes.lost() == set()


@pytest.mark.parametrize("several", [1, 20])
def test_a_job_with_its_pictures_in_the_request_takes_the_same_few_flushes_however_many_they_are(
    north: httpx.Client, flushes: Flushes, several: int
) -> None:
    files = [("image", (f"{n}.png", body)) for n, body in enumerate(PICTURES[:several])]
    north.post("/v1/jobs", files=files, data={"prompt": PROMPT}).raise_for_status()
    assert flushes.count <= 4
    assert flushes.lost() == set()


def test_a_second_job_of_the_same_uploads_is_on_the_disk_too(north: httpx.Client, flushes: Flushes) -> None:
    body = {"items": [{"upload": one} for one in upload(north, PICTURES[:3])], "prompts": [PROMPT]}
    for _ in range(2):
        north.post("/v1/jobs", json=body).raise_for_status()
        assert flushes.lost() == set()
