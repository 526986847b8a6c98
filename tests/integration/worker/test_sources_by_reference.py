"""Jobs whose sources are files of a folder: submitted by URL, planned, read and segmented by the worker's own steps."""

import asyncio
import gzip
import hashlib
import io
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pydicom
import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.outcomes import ArtifactRef, Outcome
from maskrelay.contract.records.planned_items import Assembled
from maskrelay.settings import Settings
from maskrelay.sources.file_reader import FileReader
from maskrelay.storage.stored_records import read_record, read_records, read_result
from tests.support.builders.credentials import folder_credential, s3_credential, write_credentials
from tests.support.builders.phantoms import ball, nifti, oblique, series, voxels
from tests.support.builders.pictures import gradient, saved
from tests.support.builders.zips import a_zip
from tests.support.drivers.api_jobs import items_of
from tests.support.drivers.cleanup_passes import parts_of, removed
from tests.support.drivers.segmenting import segment_waiting_frames, with_endpoint
from tests.support.servers.apis import RunningApi, running_api
from tests.support.servers.simulators import RunningSimulator, running_simulator
from worker.assemble.assemble_step import assemble_items
from worker.context import WorkerContext
from worker.finish.finish_step import finish_jobs
from worker.plan.plan_step import plan_jobs
from worker.tabulate.tabulate_step import tabulate_jobs

PROMPT = "liver"
LEVELS = ("Study", "Series")
RASTER = oblique((24, 20, 4), (1.0, 1.0, 3.0))
SLICES = voxels(RASTER, ball((0, 0, 0), 6))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[RunningSimulator]:
    with running_simulator() as simulator:
        yield simulator


@pytest.fixture
def credentials(tmp_path: Path, data: Path) -> Path:
    away = {**s3_credential("away", "http://127.0.0.1:1"), "name": "away"}
    return write_credentials(tmp_path / "credentials.json", folder_credential(data), away)


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str, credentials: Path) -> Iterator[RunningApi]:
    with running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials)) as running:
        yield running


@pytest.fixture
def worker(api: RunningApi, endpoint: RunningSimulator) -> WorkerContext:
    return with_endpoint(parts_of(api), endpoint)


def put(data: Path, name: str, body: bytes) -> str:
    """Write a file. Return its URL."""
    (data / name).parent.mkdir(parents=True, exist_ok=True)
    (data / name).write_bytes(body)
    return (data / name).as_uri()


def post(client: httpx.Client, *items: Any, **more: Any) -> httpx.Response:
    named = [{"source": item} if isinstance(item, str) else item for item in items]
    return client.post("/v1/jobs", json={"items": named, "prompts": [PROMPT], **more})


def submitted(client: httpx.Client, *items: Any, **more: Any) -> str:
    answer = post(client, *items, **more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def run(worker: WorkerContext) -> None:
    """Plan, segment, assemble and finish everything that can be."""
    plan_jobs(worker, time.monotonic() + 60)
    finish(worker)


def finish(worker: WorkerContext) -> None:
    asyncio.run(segment_waiting_frames(worker))
    finish_jobs(worker, time.monotonic() + 60)
    assemble_items(worker, time.monotonic() + 60)
    finish_jobs(worker, time.monotonic() + 60)


def outcomes(client: httpx.Client, job: str) -> dict[str, Any]:
    """Return the state of each item, or the code of its error, by its custom id."""
    page = client.get(f"/v1/jobs/{job}/items").json()
    return {item["custom_id"]: item.get("error", {}).get("code") or item["state"] for item in page["items"]}


def header(body: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(body), stop_before_pixels=True)


def picture(shade: int = 0) -> bytes:
    return saved(gradient(24, 20 + shade), "PNG")


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


def test_what_cannot_be_read_is_an_error_of_its_item(
    worker: WorkerContext, north: httpx.Client, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere.png").write_bytes(picture())
    (data / "link.png").symlink_to(tmp_path / "elsewhere.png")
    gone = (data / "gone.png").as_uri()
    items = {"good": put(data, "a.png", picture()), "gone": gone, "link": (data / "link.png").as_uri()}
    job = submitted(north, *({"source": url, "custom_id": name} for name, url in items.items()))
    run(worker)
    assert outcomes(north, job) == {"good": "succeeded", "gone": "source_not_found", "link": "source_forbidden"}


def test_a_folder_may_have_files_with_any_names_and_a_missing_one_is_an_error_of_its_item(
    worker: WorkerContext, north: httpx.Client, data: Path
) -> None:
    for name in (b"latin-\xfc.png", b"back\\slash.png"):
        put(data, f"study/{os.fsdecode(name)}", picture(len(name)))
    job = submitted(north, *({"source": f"{data.as_uri()}/{name}/", "custom_id": name} for name in ("study", "gone")))
    run(worker)
    found = outcomes(north, job)
    assert found == {"study": "succeeded", "study/1": "succeeded", "gone": "source_not_found"}


@pytest.mark.parametrize("change", ["replaced", "deleted", "withdrawn"])
def test_a_source_that_changes_after_planning_fails_its_item_only(
    worker: WorkerContext, north: httpx.Client, data: Path, credentials: Path, change: str
) -> None:
    job = submitted(north, put(data, "a.png", picture()), put(data, "b.png", picture(1)))
    plan_jobs(worker, time.monotonic() + 60)
    if change == "replaced":
        put(data, "a.png", picture(2))
    elif change == "deleted":
        (data / "a.png").unlink()
    else:
        folders = folder_credential(data / "elsewhere")
        write_credentials(credentials, folders)
    finish(worker)
    code = {"replaced": "source_changed", "deleted": "source_not_found", "withdrawn": "source_forbidden"}[change]
    other = "source_forbidden" if change == "withdrawn" else "succeeded"
    assert outcomes(north, job) == {"0": code, "1": other}


def test_a_volume_never_mixes_two_versions_of_its_file(worker: WorkerContext, north: httpx.Client, data: Path) -> None:
    url = put(data, "a.nii", gzip.decompress(nifti(RASTER, SLICES)))
    job = submitted(north, url)
    plan_jobs(worker, time.monotonic() + 60)
    os.utime(data / "a.nii", ns=(1, 1))
    finish(worker)
    page = north.get(f"/v1/jobs/{job}/items").json()
    assert {frame["error"]["code"] for frame in page["items"][0]["frames"]} == {"source_changed"}


def test_a_store_that_is_away_lets_its_job_wait_and_the_others_go_on(
    api: RunningApi, worker: WorkerContext, north: httpx.Client, data: Path
) -> None:
    waiting = submitted(north, put(data, "a.png", picture()), "s3://away/b.png")
    other = submitted(north, put(data, "c.png", picture(1)))
    run(worker)
    assert outcomes(north, other) == {"0": "succeeded"}
    shown = north.get(f"/v1/jobs/{waiting}").json()
    assert (shown["state"], shown["planned"], shown["frames"]["failed"]) == ("accepted", False, 0)


def test_a_redrive_reads_the_object_as_it_is_now(worker: WorkerContext, north: httpx.Client, data: Path) -> None:
    job = submitted(north, put(data, "a.png", picture()), put(data, "b.png", picture(1)))
    plan_jobs(worker, time.monotonic() + 60)
    put(data, "a.png", picture(2))
    finish(worker)
    again = north.post(f"/v1/jobs/{job}/redrive").json()["id"]
    run(worker)
    assert outcomes(north, again) == {"0": "succeeded"}


def test_a_redrive_of_a_member_refuses_another_version_of_its_archive(
    worker: WorkerContext, api: RunningApi, north: httpx.Client, data: Path
) -> None:
    damaged = bytearray(picture())
    damaged[40:] = b"\0" * (len(damaged) - 40)
    url = put(data, "a.zip", a_zip(("1.png", picture()), ("2.png", bytes(damaged))))
    job = submitted(north, url)
    run(worker)
    assert outcomes(north, job) == {"0": "succeeded", "0/1": "truncated"}
    again = north.post(f"/v1/jobs/{job}/redrive").json()["id"]
    run(worker)
    assert outcomes(north, again) == {"0/1": "truncated"}
    put(data, "a.zip", a_zip(("0.png", picture()), ("1.png", picture(1)), ("2.png", picture(2))))
    third = north.post(f"/v1/jobs/{again}/redrive").json()["id"]
    run(worker)
    assert outcomes(north, third) == {"0/1": "source_changed"}


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
        found = {row["run"]: row["source"] for row in table(api, name)}
        assert found == {jobs["uids"]: url, jobs["hashed"]: None, jobs["none"]: None}


def of_version(worker: WorkerContext, version: str) -> WorkerContext:
    """Return the worker with this declared model version."""
    settings = worker.settings.model_copy(update={"endpoint_model_version": version})
    declared = Settings.model_validate({**settings.model_dump(exclude_unset=True), "endpoint_model_version": version})
    return WorkerContext(declared, worker.storage, worker.ledger)


@pytest.fixture
def counted(worker: WorkerContext) -> WorkerContext:
    """The worker, with a declared model version."""
    return of_version(worker, "2")


def calls(endpoint: RunningSimulator) -> int:
    return int(sum(endpoint.counters()["prompts"].values()))


def everything(data: Path) -> list[str]:
    """Write one source of every kind. Return their URLs."""
    slices = series(RASTER, SLICES, np.arange(4), Modality="MR")
    return [
        put(data, "a.png", picture()),
        put(data, "a.tif", saved(gradient(20, 16), "TIFF")),
        put(data, "a.nii.gz", nifti(RASTER, SLICES)),
        put(data, "a.zip", a_zip(("1.png", picture(1)), ("notes.txt", b"hi"))),
        *(put(data, f"mr/{number}.dcm", body) for number, body in enumerate(slices)),
    ]


def without_bytes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the sources whose bytes are read from now on."""
    read: list[str] = []
    stream = FileReader.stream

    def recorded(self: FileReader, url: str, *rest: Any) -> Any:
        read.append(url)
        return stream(self, url, *rest)

    monkeypatch.setattr(FileReader, "stream", recorded)
    return read


def files_of(api: RunningApi, job: str) -> list[str]:
    """Return the hashes of the files of every frame, as they are in the store now."""
    result = read_result(api.storage, job)
    lines = read_records(api.storage, result.items.key, ItemLine)
    refs = [ref for line in lines for outcome in line.outcomes for ref in outcome.artifacts().values()]
    bodies = [api.storage.get(ref.key, ref.offset, ref.length) for ref in refs]
    assert [hashlib.sha256(body).hexdigest() for body in bodies] == [ref.sha256 for ref in refs]
    return [ref.sha256 for ref in refs]


def test_a_repeated_run_reads_no_byte_and_sends_no_score(
    counted: WorkerContext,
    api: RunningApi,
    endpoint: RunningSimulator,
    north: httpx.Client,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    urls, options = everything(data), {"outputs": ["mask", "overlay", "nifti", "seg", "contact-sheet"]}
    first = submitted(north, *urls, options=options)
    run(counted)
    assert north.get(f"/v1/jobs/{first}").json()["state"] == "succeeded"
    before, read = calls(endpoint), without_bytes(monkeypatch)
    second = submitted(north, *urls, options=options)
    run(counted)
    assert north.get(f"/v1/jobs/{second}").json()["state"] == "succeeded"
    assert (calls(endpoint) - before, read) == (0, [])
    assert files_of(api, second) == files_of(api, first)
    lines = read_records(api.storage, read_result(api.storage, second).items.key, ItemLine)
    frames = [outcome for line in lines for outcome in line.outcomes]
    assert len(frames) == 4 + 4 + 3
    assert {reused.job for outcome in frames for reused in outcome.reused_from} == {first}
    assert all(outcome.reused_from for outcome in frames)


@pytest.mark.parametrize("change", ["none", "gone", "damaged", "refused"])
def test_the_files_of_an_item_are_copied_unless_they_are_gone_or_damaged(
    counted: WorkerContext,
    api: RunningApi,
    north: httpx.Client,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    slices = series(RASTER, SLICES, np.arange(4))
    urls = [put(data, f"ct/{number}.dcm", body) for number, body in enumerate(slices)]

    def segmentation(**options: Any) -> tuple[ArtifactRef, str | None]:
        job = submitted(north, *urls, options={"outputs": ["mask", "seg"], **options})
        run(counted)
        made = read_record(api.storage, keys.assembled_item(job, 0), Assembled)
        assert made.errors == {}
        return made.files["seg"], made.seg_series

    first, series_of_first = segmentation()
    if change == "gone":
        api.storage.delete(first.key)
    elif change == "damaged":
        api.storage.put(first.key, b"\0" * first.length)
    read = without_bytes(monkeypatch)
    second, series_of_second = segmentation(**({"reuse": False} if change == "refused" else {}))
    assert second.key != first.key
    assert hashlib.sha256(api.storage.get(second.key)).hexdigest() == second.sha256
    assert (second.sha256 == first.sha256, read == []) == (change == "none", change == "none")
    assert series_of_second == series_of_first or change == "refused"


def test_the_segmentation_of_an_edited_manifest_has_other_uids(
    counted: WorkerContext, api: RunningApi, north: httpx.Client, data: Path
) -> None:
    url = put(data, "slice.dcm", series(RASTER, SLICES, np.arange(1))[0])

    def series_of(**row: Any) -> str | None:
        manifest = put(data, "run.ndjson", json.dumps({"source": url, "prompts": [PROMPT], **row}).encode())
        body = {"manifest": {"source": manifest}, "options": {"outputs": ["seg"]}}
        job = north.post("/v1/jobs", json=body).json()["id"]
        run(counted)
        return read_record(api.storage, keys.assembled_item(job, 0), Assembled).seg_series

    first = series_of()
    others = [series_of(prompts=["spleen"]), series_of(options={"intensity": {"window": [-10.0, 90.0]}})]
    assert len({first, *others}) == 3
    assert series_of() == first


def test_a_listing_pays_for_what_is_new_and_for_nothing_else(
    counted: WorkerContext,
    endpoint: RunningSimulator,
    north: httpx.Client,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("maskrelay.rules.run_chunks.CHUNK_ITEMS", 2)
    everything(data)

    def listed() -> tuple[dict[str, Any], int, set[str]]:
        """Run a listing of all files. Return its outcomes, the prompts that were sent, and the files that were read."""
        before, read = calls(endpoint), without_bytes(monkeypatch)
        body = {"listing": {"source": f"{data.as_uri()}/"}, "prompts": [PROMPT]}
        job = north.post("/v1/jobs", json=body).json()["id"]
        run(counted)
        return outcomes(north, job), calls(endpoint) - before, set(read)

    first, sent, _ = listed()
    assert set(first.values()) == {"succeeded"}
    assert (len(first), sent) == (5, 9)  # two of the eleven frames equal others, and are scored once
    assert listed() == (first, 0, set())
    new = {put(data, f"new/{number}.png", picture(5 + number)) for number in range(3)}
    extended, sent, read = listed()
    assert (len(extended), sent, read) == (8, 3, new)


@pytest.mark.parametrize("change", ["refused", "prompt", "content", "outputs", "undeclared", "another tenant"])
def test_what_differs_is_scored_again(
    worker: WorkerContext,
    counted: WorkerContext,
    endpoint: RunningSimulator,
    north: httpx.Client,
    south: httpx.Client,
    data: Path,
    credentials: Path,
    change: str,
) -> None:
    tenants = {"north": [f"{data.as_uri()}/"], "south": [f"{data.as_uri()}/"]}
    write_credentials(credentials, folder_credential(data, reads=tenants))
    url = put(data, "a.png", picture())
    submitted(north, url)
    run(worker if change == "undeclared" else counted)
    before = calls(endpoint)
    if change == "content":
        put(data, "a.png", picture(3))
    more: dict[str, Any] = {"options": {"reuse": False}} if change == "refused" else {}
    item = {"source": url, **({"prompts": ["spleen"]} if change == "prompt" else {})}
    if change == "outputs":  # the answer is reused, but another file is drawn
        more = {"options": {"outputs": ["mask", "probability"]}}
    client = south if change == "another tenant" else north
    again = submitted(client, item, **more)
    run(worker if change == "undeclared" else counted)
    assert outcomes(client, again) == {"0": "succeeded"}
    assert calls(endpoint) - before == (0 if change == "outputs" else 1)


def test_an_outcome_outlives_the_job_that_it_was_taken_from(
    counted: WorkerContext, api: RunningApi, endpoint: RunningSimulator, north: httpx.Client, data: Path
) -> None:
    url = put(data, "a.png", picture())
    first = submitted(north, url)
    run(counted)
    second = submitted(north, url)
    run(counted)
    with api.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{first}").status_code == 204
    removed(api)
    before = calls(endpoint)
    third = submitted(north, url)
    run(counted)
    assert files_of(api, third) == files_of(api, second)
    assert files_of(api, third)
    assert calls(endpoint) == before


def only_outcome(api: RunningApi, job: str) -> Outcome:
    [line] = read_records(api.storage, read_result(api.storage, job).items.key, ItemLine)
    [outcome] = line.outcomes
    return outcome


def test_an_outcome_of_another_model_version_is_not_copied(
    worker: WorkerContext, counted: WorkerContext, api: RunningApi, north: httpx.Client, data: Path
) -> None:
    url, newer = put(data, "a.png", picture()), of_version(worker, "3")
    jobs = []
    for context in (counted, newer):
        jobs.append(submitted(north, url))
        run(context)
    old, new = (only_outcome(api, job) for job in jobs)
    assert (old.model_version, new.model_version) == ("2", "3")
    assert old.reuse_key is not None
    assert new.reuse_key is not None
    # A worker with version 3 had segmented the frame of the first job too, but its outcome was refused.
    api.storage.put(keys.reuse(new.reuse_key), api.storage.get(keys.reuse(old.reuse_key)))
    third = submitted(north, url)
    run(newer)
    assert only_outcome(api, third).model_version == "3"


@pytest.mark.parametrize("end", ["runs", "is deleted"])
def test_an_outcome_is_copied_from_the_first_job_while_the_second_cannot_give_it(
    counted: WorkerContext,
    api: RunningApi,
    north: httpx.Client,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    url = put(data, "a.png", picture())
    first = submitted(north, url)
    run(counted)
    second = submitted(north, url)
    plan_jobs(counted, time.monotonic() + 60)
    asyncio.run(segment_waiting_frames(counted))
    if end == "is deleted":
        finish(counted)
        with api.client("admin") as admin:
            assert admin.delete(f"/v1/jobs/{second}").status_code == 204
        removed(api)
    third = submitted(north, url)
    plan_jobs(counted, time.monotonic() + 60)
    read = without_bytes(monkeypatch)
    finish(counted)
    assert [reused.job for reused in only_outcome(api, third).reused_from] == [first]
    assert read == []
