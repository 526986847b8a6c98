"""Sources by reference: which kinds are read, when they are refused, and what results say of them."""

import io
import json
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pydicom
import pytest

from maskrelay.contract.records import keys
from tests.integration.worker.by_reference.source_jobs import (
    PROMPT,
    RASTER,
    SLICES,
    outcomes,
    picture,
    post,
    put,
    run,
    submitted,
)
from tests.support.builders.credentials import write_credentials
from tests.support.builders.phantoms import nifti, series
from tests.support.builders.pictures import gradient, saved
from tests.support.builders.zips import a_zip
from tests.support.drivers.api_jobs import items_of
from tests.support.drivers.cleanup_passes import removed
from tests.support.servers.apis import RunningApi
from worker.context import WorkerContext
from worker.tabulate.tabulate_step import tabulate_jobs

LEVELS = ("Study", "Series")


def header(body: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(body), stop_before_pixels=True)


def test_every_kind_of_source_is_segmented_by_reference(worker: WorkerContext, north: httpx.Client, data: Path) -> None:
    slices = series(RASTER, SLICES, np.arange(4))
    dicom = [put(data, f"ct/{number}.dcm", body) for number, body in enumerate(slices)]
    urls = {
        "still": put(data, "a b.png", picture()),
        "tiff": put(data, "a.tif", saved(gradient(20, 16), "TIFF")),
        "nifti": put(data, "a.nii.gz", nifti(RASTER, SLICES)),
        "zip": put(data, "a.zip", a_zip(("1.png", picture(1)), ("notes.txt", b"hi"))),
        **{f"slice-{number}": url for number, url in enumerate(dicom)},
    }
    job = submitted(north, *({"source": url, "custom_id": name} for name, url in urls.items()))
    run(worker)
    shown = north.get(f"/v1/jobs/{job}").json()
    assert (shown["state"], shown["counts"]["total"]) == ("succeeded", 5)
    assert outcomes(north, job) == dict.fromkeys(["still", "tiff", "nifti", "zip", "slice-0"], "succeeded")
    names = {item["custom_id"]: item["source_name"] for item in north.get(f"/v1/jobs/{job}/items").json()["items"]}
    assert (names["still"], names["zip"], names["slice-0"]) == ("a b.png", "1.png", "0.dcm")


def test_a_job_may_have_uploads_and_references(worker: WorkerContext, north: httpx.Client, data: Path) -> None:
    upload = north.post("/v1/uploads", files=[("image", ("u.png", picture(1), "image/png"))]).json()["uploads"][0]["id"]
    job = submitted(north, {"upload": upload}, put(data, "a.png", picture()))
    run(worker)
    assert outcomes(north, job) == {"0": "succeeded", "1": "succeeded"}


def test_a_folder_is_a_source_with_all_its_files(worker: WorkerContext, north: httpx.Client, data: Path) -> None:
    for number, body in enumerate(series(RASTER, SLICES, np.arange(4))):
        put(data, f"study/ct/{number}.dcm", body)
    put(data, "study/photo.png", picture())
    put(data, "study/readme.txt", b"hi")
    job = submitted(north, {"source": f"{(data / 'study').as_uri()}/", "custom_id": "study"})
    run(worker)
    page = north.get(f"/v1/jobs/{job}/items").json()
    found = {item["source_name"]: (item["custom_id"], item["state"]) for item in page["items"]}
    assert found == {"ct/0.dcm": ("study", "succeeded"), "photo.png": ("study/1", "succeeded")}
    assert north.get(f"/v1/jobs/{job}").json()["frames"]["succeeded"] == 5
    assert [ignored["source_name"] for ignored in page["ignored"]] == ["readme.txt"]


def test_nothing_of_a_source_is_in_the_store_before_it_is_planned(
    api: RunningApi, north: httpx.Client, data: Path
) -> None:
    job = submitted(north, put(data, "a.png", picture()))
    assert sorted(api.objects()) == sorted([keys.accepted(job), keys.live(job)])
    [item] = items_of(api, job)
    assert (item.credential, item.size, item.sha256) == ("disk", 0, "")


@pytest.mark.parametrize(
    ("item", "code", "pointer"),
    [
        ({"source": "file:///etc/passwd"}, "source_not_allowed", "#/items/1/source"),
        ({"source": "s3://away/a.png", "credential": "disk"}, "source_not_allowed", "#/items/1/source"),
        ({"source": "s3://away/a.png", "credential": "other"}, "credential_unknown", "#/items/1/credential"),
        ({"source": "ftp://away/a.png"}, "source_invalid", "#/items/1/source"),
        ({"source": "s3://away/a.png", "upload": "a" * 26}, "malformed", "#/items/1/source"),
        ({"source": 1}, "malformed", "#/items/1/source"),
        ({"source": "s3://away/a.png", "credential": 1}, "malformed", "#/items/1/credential"),
        ({}, "malformed", "#/items/1/upload"),
    ],
)
def test_a_source_that_may_not_be_read_is_refused_at_submission(
    api: RunningApi, north: httpx.Client, data: Path, item: dict[str, Any], code: str, pointer: str
) -> None:
    answer = post(north, put(data, "a.png", picture()), {**item, "custom_id": "bad"})
    assert answer.status_code == (400 if code == "malformed" else 422)
    problem = answer.json()
    assert (problem["code"], [each["pointer"] for each in problem["errors"]]) == (code, [pointer])
    assert api.objects() == []


def test_another_tenants_credential_is_unknown(south: httpx.Client, data: Path) -> None:
    answer = post(south, {"source": put(data, "a.png", picture()), "credential": "disk"})
    assert answer.json()["code"] == "credential_unknown"


def test_a_repeat_finds_its_job_although_the_right_was_withdrawn(
    north: httpx.Client, data: Path, credentials: Path
) -> None:
    url, key = put(data, "a.png", picture()), {"Idempotency-Key": "k"}
    body = {"items": [{"source": url}], "prompts": [PROMPT]}
    first = north.post("/v1/jobs", json=body, headers=key).json()["id"]
    write_credentials(credentials)
    assert north.post("/v1/jobs", json=body, headers=key).json()["id"] == first
    other = {**body, "items": [{"source": f"{url}2"}]}
    assert north.post("/v1/jobs", json=other, headers=key).json()["code"] == "idempotency_key_reused"


def test_a_source_is_left_alone_when_its_job_is_removed(
    worker: WorkerContext, api: RunningApi, north: httpx.Client, data: Path
) -> None:
    job = submitted(north, put(data, "a.png", picture()))
    run(worker)
    with api.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{job}").status_code == 204
    removed(api)
    assert (data / "a.png").exists()
    assert not [key for key in api.objects() if job in key and key != keys.gone(job)]


def table(api: RunningApi, name: str) -> list[dict[str, Any]]:
    return pl.read_delta(str(api.folder / "tables/north" / name)).to_dicts()


def test_results_have_the_pseudonyms_of_the_site_or_none(
    api: RunningApi, worker: WorkerContext, north: httpx.Client, data: Path, tmp_path: Path
) -> None:
    uids, file = dict[str, str](), tmp_path / "site.json"
    for name in ("good", "unmapped"):
        slices = series(RASTER, SLICES, np.arange(4))
        uids |= {str(getattr(header(slices[0]), f"{level}InstanceUID")): f"{name} {level}" for level in LEVELS}
        for number, body in enumerate(slices):
            put(data, f"{name}/{number}.dcm", body)
    known = {uid: pseudonym for uid, pseudonym in uids.items() if pseudonym != "unmapped Series"}
    file.write_text(json.dumps({"north": {"mapping": known}}))
    settings = worker.settings.model_copy(update={"site_identifiers_file": str(file)})
    site = WorkerContext(settings, worker.storage, worker.ledger)
    sources = [{"source": f"{data.as_uri()}/{name}/", "custom_id": name} for name in ("good", "unmapped")]
    job = submitted(north, *sources, options={"identifiers": "site", "outputs": ["mask", "nifti", "table"]})
    run(site)
    assert outcomes(north, job) == {"good": "succeeded", "unmapped": "identifier_unmapped"}
    shown = north.get(f"/v1/jobs/{job}/items").text
    assert not any(uid in shown for uid in uids)
    assert north.get(f"/v1/jobs/{job}").json()["frames"]["failed"] == 4
    tabulate_jobs(site, time.monotonic() + 60)
    rows = table(api, "masks")
    assert {(row["StudyInstanceUID"], row["segmented_SeriesInstanceUID"]) for row in rows} == {
        ("good Study", "good Series")
    }
    assert {(row["source"], row["segmented_SOPInstanceUID"]) for row in rows} == {(None, None)}
    file.write_text(json.dumps({"north": {"mapping": uids}}))
    again = north.post(f"/v1/jobs/{job}/redrive").json()["id"]
    run(site)
    assert outcomes(north, again) == {"unmapped": "succeeded"}


def test_the_tables_name_the_source_unless_identifiers_are_hidden(
    api: RunningApi, worker: WorkerContext, north: httpx.Client, data: Path
) -> None:
    url = put(data, "a.png", picture())
    jobs = {
        how: submitted(north, url, options={"identifiers": how, "outputs": ["mask", "table"]})
        for how in ("uids", "hashed", "none")
    }
    run(worker)
    tabulate_jobs(worker, time.monotonic() + 60)
    for name in ("masks", "segments", "items"):
        found = {row["run"]: (row["source"], row["source_name"]) for row in table(api, name)}
        assert found == {jobs["uids"]: (url, "a.png"), jobs["hashed"]: (None, None), jobs["none"]: (None, None)}


def test_no_name_in_a_url_is_in_results_that_hide_identifiers(
    api: RunningApi, worker: WorkerContext, north: httpx.Client, data: Path
) -> None:
    """Archives name files and folders by UIDs and by patients."""
    slices = series(RASTER, SLICES, np.arange(4))
    uids = {str(value) for body in slices for value in (header(body).SOPInstanceUID, header(body).SeriesInstanceUID)}
    for body in slices:
        put(data, f"Meier/{header(body).SeriesInstanceUID}/{header(body).SOPInstanceUID}.dcm", body)
    put(data, "Meier/eye.png", picture())
    put(data, "Meier/notes.txt", b"hi")
    options = {"identifiers": "hashed", "outputs": ["mask", "seg", "table"]}
    jobs = [
        submitted(north, listing={"source": f"{data.as_uri()}/**"}, options=options),
        submitted(north, {"source": f"{(data / 'Meier').as_uri()}/", "custom_id": "mine"}, options=options),
    ]
    run(worker)
    tabulate_jobs(worker, time.monotonic() + 60)
    shown = [north.get(f"/v1/jobs/{job}/items").text for job in jobs]
    shown += [json.dumps(table(api, name), default=str) for name in ("masks", "segments", "items")]
    assert not any(word in text for text in shown for word in (*uids, "Meier", "eye.png", "notes.txt"))
    found = {(row["run"], row["custom_id"]) for row in table(api, "items") if row["state"] == "succeeded"}
    assert found == {(job, name) for job, of in zip(jobs, ("04", ("mine", "mine/1")), strict=True) for name in of}
