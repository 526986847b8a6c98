"""Runs from manifests and listings, which the plan stage reads: their items, and requests that are refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import numpy as np
import pytest

from tests.integration.worker.by_reference.source_jobs import (
    PICTURE,
    PROMPT,
    items_of_run,
    manifest,
    outcomes,
    post,
    put,
    shown,
    submitted,
)
from tests.support.builders.credentials import folder_credential, s3_credential, write_credentials
from tests.support.builders.phantoms import ball, oblique, series, voxels
from tests.support.drivers.driven_jobs import driven, finished, planned
from tests.support.servers.apis import RunningApi
from tests.support.servers.s3_servers import RunningS3, running_s3

KEY = {"Idempotency-Key": "cohort"}


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3("images") as running:
        yield running


@pytest.fixture
def credentials(tmp_path: Path, data: Path, s3: RunningS3) -> Path:
    bucket = s3_credential("images", s3.endpoint_url)
    return write_credentials(tmp_path / "credentials.json", folder_credential(data), bucket)


@pytest.mark.parametrize("kind", ["ndjson", "csv", "parquet"])
def test_a_manifest_is_a_run(api: RunningApi, north: httpx.Client, data: Path, kind: str) -> None:
    rows = [
        {"custom_id": f"eye {n}", "source": put(data, f"{n}.png"), "prompts": ["a", "b"][: n + 1]} for n in range(2)
    ]
    url = put(data, f"run.{kind}", manifest(rows, kind))
    answer = post(north, manifest={"source": url})
    assert answer.status_code == 202
    assert "rejected" not in answer.json()
    job = answer.json()["id"]
    result = driven(api, job)
    assert (result.state, result.counts.total) == ("succeeded", 2)
    assert [(item.custom_id, item.prompts) for item in items_of_run(api, job)] == [
        ("eye 0", ("a",)),
        ("eye 1", ("a", "b")),
    ]
    assert shown(north, job)["rejected"] == 0


def test_the_pages_of_a_job_count_its_items_while_it_is_planned(
    api: RunningApi, north: httpx.Client, data: Path
) -> None:
    rows = [{"source": put(data, f"{n}.png")} for n in range(5)]
    job = submitted(north, manifest={"source": put(data, "run.ndjson", manifest(rows, "ndjson"))})
    assert shown(north, job)["counts"]["total"] == 0
    planned(api)
    assert (shown(north, job)["counts"]["total"], shown(north, job)["planned"]) == (5, True)
    assert [item.custom_id for item in items_of_run(api, job)] == list("01234")
    assert {item.prompts for item in items_of_run(api, job)} == {(PROMPT,)}


def test_a_listing_is_a_run_with_pinned_objects(api: RunningApi, north: httpx.Client, s3: RunningS3) -> None:
    bucket = boto3.session.Session().client("s3", endpoint_url=s3.endpoint_url)
    raster = oblique((24, 20, 4), (1.0, 1.0, 3.0))
    slices = series(raster, voxels(raster, ball((0, 0, 0), 6)), np.arange(4))
    for number, body in enumerate(slices):
        bucket.put_object(Bucket="images", Key=f"ct/one/{number}.dcm", Body=body)
    bucket.put_object(Bucket="images", Key="ct/one/notes.txt", Body=b"no image")
    bucket.put_object(Bucket="images", Key="ct/two.png", Body=PICTURE)
    bucket.put_object(Bucket="images", Key="mr/three.dcm", Body=b"")
    series_only = submitted(north, listing={"source": "s3://images/ct/**/*.dcm"})
    picture = submitted(north, listing={"source": "s3://images/*/*.png", "credential": "archive"})
    planned(api)
    assert [item.custom_id for item in items_of_run(api, series_only)] == [f"one/{number}.dcm" for number in range(4)]
    assert all(item.pin is not None and item.pin.etag for item in items_of_run(api, series_only))
    assert [item.custom_id for item in items_of_run(api, picture)] == ["ct/two.png"]
    assert shown(north, series_only)["counts"]["total"] == 1  # the slices are one item
    assert shown(north, series_only)["frames"]["planned"] == 4


def test_an_object_that_was_replaced_after_it_was_listed_is_an_error_of_its_item(
    api: RunningApi, north: httpx.Client, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(data, "a.png")
    put(data, "b.png")
    job = submitted(north, listing={"source": f"{data.as_uri()}/*.png"})
    real = worker_expand()

    def expand(*arguments: Any) -> None:
        real(*arguments)
        put(data, "b.png", PICTURE + b"changed")

    monkeypatch.setattr("worker.plan.plan_step.expand_run", expand)
    driven(api, job)
    page = north.get(f"/v1/jobs/{job}/items").json()["items"]
    assert [(item["state"], (item.get("error") or {}).get("code")) for item in page] == [
        ("succeeded", None),
        ("failed", "source_changed"),
    ]


def worker_expand() -> Any:
    import worker.plan.plan_step as step

    return step.expand_run


def test_a_dry_run_of_a_listing_has_a_forecast(api: RunningApi, north: httpx.Client, data: Path) -> None:
    for number in range(3):
        put(data, f"{number}.png")
    job = submitted(north, listing={"source": f"{data.as_uri()}/"}, options={"dry_run": True})
    planned(api)
    finished(api, job)
    forecast = shown(north, job)["forecast"]
    assert (forecast["items"], forecast["rejected"], forecast["bytes_to_read"]) == (3, 0, 3 * len(PICTURE))


def test_a_dry_run_counts_the_objects_that_are_no_images(api: RunningApi, north: httpx.Client, data: Path) -> None:
    for name, body in (("a.png", PICTURE), ("notes.txt", b"no image"), ("empty.png", b"")):
        put(data, name, body)
    job = submitted(north, listing={"source": f"{data.as_uri()}/"}, options={"dry_run": True})
    planned(api)
    finished(api, job)
    forecast = shown(north, job)["forecast"]
    assert [forecast[name] for name in ("items", "failed", "frames", "scores")] == [3, 2, 1, 1]
    real = submitted(north, listing={"source": f"{data.as_uri()}/"})
    driven(api, real)
    assert outcomes(north, real) == {"a.png": "succeeded", "empty.png": "zero_sized", "notes.txt": "not_an_image"}


REFUSED = [
    ({"listing": {"source": "s3://images/a.dcm"}}, "source_invalid", "#/listing/source"),
    ({"listing": {"source": "s3://other/*"}}, "source_not_allowed", "#/listing/source"),
    ({"listing": {"source": "s3://images/*", "credential": "other"}}, "credential_unknown", "#/listing/credential"),
    ({"listing": {}}, "malformed", "#/listing/source"),
    ({"listing": {"source": 1}}, "malformed", "#/listing/source"),
    ({"listing": "s3://images/*"}, "malformed", "#/listing"),
    ({"listing": {"source": "s3://images/*"}, "prompts": []}, "no_prompts", "#/prompts"),
    ({"listing": {"source": "s3://images/*"}, "items": []}, "option_unknown", "#/items"),
    ({"manifest": {"source": "s3://images/run"}}, "option_invalid", "#/manifest/format"),
    ({"manifest": {"source": "s3://images/run.csv", "format": "xml"}}, "option_invalid", "#/manifest/format"),
    ({"manifest": {"source": "run.csv"}}, "source_invalid", "#/manifest/source"),
    ({"manifest": {"source": "s3://images/run.csv", "rows": 1}}, "option_unknown", "#/manifest/rows"),
    ({"manifest": {"source": "s3://images/run.csv"}, "options": {"colour": 1}}, "option_unknown", "#/options/colour"),
]


def test_a_request_that_cannot_become_a_run_is_refused_at_once(api: RunningApi, north: httpx.Client) -> None:
    for body, code, pointer in REFUSED:
        answer = post(north, **body).json()
        assert (answer["code"], answer["errors"][0]["pointer"]) == (code, pointer), body
    assert api.objects("jobs/") == []


def test_a_repeated_request_gets_the_first_run(api: RunningApi, north: httpx.Client, data: Path) -> None:
    source = {"source": f"{data.as_uri()}/"}
    first = post(north, headers=KEY, listing=source).json()["id"]
    assert post(north, headers=KEY, listing=source).json()["id"] == first
    other = post(north, headers=KEY, listing=source, options={"max_rejected_share": 0.5})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(api.objects("live/")) == 1
