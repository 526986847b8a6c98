"""Runs from manifests and listings, which the plan stage reads: their items, and how those that fail end."""

import csv
import io
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import maskrelay.rules.run_chunks
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Item
from maskrelay.errors import StorageUnavailable
from maskrelay.storage.submitted_items import read_items
from tests.support.builders.credentials import folder_credential, s3_credential, write_credentials
from tests.support.builders.phantoms import ball, oblique, series, voxels
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.api_jobs import submission_of
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import driven, finished, planned
from tests.support.drivers.runs import PROMPT
from tests.support.servers.apis import RunningApi, running_api
from tests.support.servers.s3_servers import RunningS3, running_s3
from worker.plan.plan_step import plan_jobs

PICTURE = saved(gradient(24, 20), "PNG")
KEY = {"Idempotency-Key": "cohort"}


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3("images") as running:
        yield running


@pytest.fixture
def credentials(tmp_path: Path, data: Path, s3: RunningS3) -> Path:
    bucket = s3_credential("images", s3.endpoint_url)
    return write_credentials(tmp_path / "credentials.json", folder_credential(data), bucket)


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str, credentials: Path) -> Iterator[RunningApi]:
    with running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials)) as running:
        yield running


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maskrelay.rules.run_chunks, "CHUNK_ITEMS", 3)


def put(data: Path, name: str, body: bytes = PICTURE) -> str:
    """Write a file. Return its URL."""
    (data / name).parent.mkdir(parents=True, exist_ok=True)
    (data / name).write_bytes(body)
    return (data / name).as_uri()


def post(client: httpx.Client, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return client.post("/v1/jobs", json={"prompts": [PROMPT], **body}, headers=headers or {})


def submitted(client: httpx.Client, **body: Any) -> str:
    answer = post(client, **body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def items(api: RunningApi, job: str) -> list[Item]:
    return list(read_items(api.storage, submission_of(api, job)))


def shown(client: httpx.Client, job: str) -> dict[str, Any]:
    return dict(client.get(f"/v1/jobs/{job}").json())


def refused(api: RunningApi, client: httpx.Client, job: str) -> str:
    """Plan the job, which must end without a result. Return the code of its error."""
    planned(api)
    found = shown(client, job)
    assert (found["state"], found["reason"]) == ("failed", found["error"]["code"])
    return str(found["reason"])


def manifest(rows: list[dict[str, Any]], kind: str) -> bytes:
    if kind == "ndjson":
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if kind == "parquet":
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), file)
        return file.getvalue()
    text = io.StringIO()
    writer = csv.DictWriter(text, ["custom_id", "source", "prompts"])
    writer.writeheader()
    writer.writerows({**row, "prompts": ";".join(row.get("prompts", []))} for row in rows)
    return text.getvalue().encode()


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
    assert [(item.custom_id, item.prompts) for item in items(api, job)] == [("eye 0", ("a",)), ("eye 1", ("a", "b"))]
    assert shown(north, job)["rejected"] == 0


def test_the_pages_of_a_job_count_its_items_while_it_is_planned(
    api: RunningApi, north: httpx.Client, data: Path
) -> None:
    rows = [{"source": put(data, f"{n}.png")} for n in range(5)]
    job = submitted(north, manifest={"source": put(data, "run.ndjson", manifest(rows, "ndjson"))})
    assert shown(north, job)["counts"]["total"] == 0
    planned(api)
    assert (shown(north, job)["counts"]["total"], shown(north, job)["planned"]) == (5, True)
    assert [item.custom_id for item in items(api, job)] == list("01234")
    assert {item.prompts for item in items(api, job)} == {(PROMPT,)}


def test_bad_lines_are_reported_and_the_others_are_segmented(api: RunningApi, north: httpx.Client, data: Path) -> None:
    good = put(data, "a.png")
    lines = [
        {"source": good},
        {"source": "s3://elsewhere/secret.png"},
        b"no json",
        {"source": good, "credential": "unknown"},
        {"source": good, "prompts": ["a&b"]},
        {"source": good, "custom_id": "0"},
        {"upload": "a" * 26},
        {"source": good, "colour": 1},
        {"source": "a.png"},
        {"source": good, "custom_id": "last"},
    ]
    body = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    job = submitted(north, manifest={"source": put(data, "run.jsonl", body)}, options={"max_rejected_share": 0.8})
    assert driven(api, job).counts.total == 2
    assert [item.custom_id for item in items(api, job)] == ["0", "last"]
    assert shown(north, job)["rejected"] == 8
    page = north.get(shown(north, job)["links"]["rejected"]).json()["rejected"]
    assert [(line["line"], line["code"], line["pointer"]) for line in page] == [
        (2, "source_not_allowed", "#/source"),
        (3, "line_invalid", None),
        (4, "credential_unknown", "#/credential"),
        (5, "prompt_has_ampersand", "#/prompts/0"),
        (6, "custom_id_duplicate", "#/custom_id"),
        (7, "line_invalid", "#/upload"),
        (8, "option_unknown", "#"),
        (9, "source_invalid", "#/source"),
    ]


def test_too_many_bad_lines_end_the_job_and_are_listed(api: RunningApi, north: httpx.Client, data: Path) -> None:
    url = put(data, "run.csv", f"source\n{put(data, 'a.png')}\nftp://a\n".encode())
    job = submitted(north, manifest={"source": url}, options={"max_rejected_share": 0.4})
    assert refused(api, north, job) == "too_many_rejected"
    assert "1 of 2" in shown(north, job)["error"]["detail"]
    assert [line["line"] for line in north.get(f"/v1/jobs/{job}/rejected").json()["rejected"]] == [3]
    assert api.objects(keys.frames(job)) == []


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
    assert [item.custom_id for item in items(api, series_only)] == [f"one/{number}.dcm" for number in range(4)]
    assert all(item.pin is not None and item.pin.etag for item in items(api, series_only))
    assert [item.custom_id for item in items(api, picture)] == ["ct/two.png"]
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


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet", "listing"])
def test_an_interrupted_reading_goes_on_after_the_last_chunk(
    api: RunningApi, north: httpx.Client, data: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each object is written in an attempt of its own: the process is as good as killed before it and after it."""
    sources = [put(data, f"{number:02}.png") for number in range(20)]
    sources[4] = "ftp://bad"
    rows = [{"source": source, "custom_id": f"x{number % 15}"} for number, source in enumerate(sources)]
    if form == "listing":
        body: dict[str, Any] = {"listing": {"source": f"{data.as_uri()}/*.png"}}
    else:
        body = {"manifest": {"source": put(data, f"run.{form}", manifest(rows, form))}}
    body["options"] = {"max_rejected_share": 0.9}
    expected = submitted(north, **body)
    planned(api)
    job = submitted(north, **body)
    context, attempts = parts_of(api), 0
    prefix = submission_of(api, job).run.chunks  # type: ignore[union-attr]
    storage = context.storage
    for name in ("create", "put"):
        monkeypatch.setattr(storage, name, Interrupted(getattr(storage, name), prefix))
    while not api.objects(keys.expansion(prefix)):
        attempts += 1
        assert attempts < 100
        lease = context.ledger.step_leases.take("plan")
        assert lease is not None
        try:
            plan_jobs_with(context, lease)
        except StorageUnavailable:
            context.ledger.step_leases.hand_back(lease)
    planned(api)
    assert attempts > 5
    assert items(api, job) == items(api, expected)
    lines = [north.get(f"/v1/jobs/{each}/rejected").json() for each in (job, expected)]
    assert lines[0] == lines[1]
    if form != "listing":
        assert [line["code"] for line in lines[0]["rejected"]] == ["source_invalid", *["custom_id_duplicate"] * 4]


class Interrupted:
    """A writing call that fails the first time for each key below the prefix: before the write, or after it."""

    def __init__(self, call: Any, prefix: str) -> None:
        self._call = call
        self._prefix = prefix
        self._seen: set[str] = set()

    def __call__(self, key: str, *arguments: Any) -> None:
        fails = key.startswith(self._prefix) and key not in self._seen
        self._seen.add(key)
        if fails and len(self._seen) % 2:
            raise StorageUnavailable
        self._call(key, *arguments)
        if fails:
            raise StorageUnavailable


def plan_jobs_with(context: Any, lease: Any) -> None:
    from worker.plan.plan_step import plan_job

    sources = context.sources()
    try:
        plan_job(context, sources, lease, time.monotonic() + 60)
    finally:
        sources.close()


@pytest.mark.usefixtures("small_chunks")
def test_a_run_that_is_cancelled_before_it_is_read_has_no_items(
    api: RunningApi, north: httpx.Client, data: Path
) -> None:
    job = submitted(north, listing={"source": f"{data.as_uri()}/*.png"})
    assert north.post(f"/v1/jobs/{job}/cancel").status_code == 202
    result = finished(api, job)
    assert (result.state, result.counts.total) == ("cancelled", 0)
    planned(api)
    assert shown(north, job)["state"] == "cancelled"


def test_a_dry_run_of_a_listing_has_a_forecast(api: RunningApi, north: httpx.Client, data: Path) -> None:
    for number in range(3):
        put(data, f"{number}.png")
    job = submitted(north, listing={"source": f"{data.as_uri()}/"}, options={"dry_run": True})
    planned(api)
    finished(api, job)
    forecast = shown(north, job)["forecast"]
    assert (forecast["items"], forecast["rejected"], forecast["bytes_to_read"]) == (3, 0, 3 * len(PICTURE))


FAILING = [
    pytest.param({"listing": {"source": "DATA/*.dcm"}}, "listing_empty", id="nothing matches"),
    pytest.param({"listing": {"source": "DATA/missing/"}}, "source_not_found", id="no folder"),
    pytest.param({"manifest": {"source": "DATA/missing.csv"}}, "source_not_found", id="no manifest"),
    pytest.param({"manifest": {"source": "DATA/a.png", "format": "csv"}}, "manifest_invalid", id="a picture as csv"),
    pytest.param({"manifest": {"source": "DATA/a.png", "format": "ndjson"}}, "manifest_invalid", id="as ndjson"),
    pytest.param({"manifest": {"source": "DATA/a.png", "format": "parquet"}}, "manifest_invalid", id="as parquet"),
    pytest.param({"manifest": {"source": "DATA/empty.jsonl"}}, "no_items", id="an empty manifest"),
]


@pytest.mark.parametrize(("body", "code"), FAILING)
def test_a_run_that_cannot_be_read_ends_with_a_code(
    api: RunningApi, north: httpx.Client, data: Path, body: dict[str, dict[str, str]], code: str
) -> None:
    put(data, "a.png")
    put(data, "empty.jsonl", b"\n")
    body = json.loads(json.dumps(body).replace("DATA", data.as_uri()))
    job = submitted(north, **body)
    assert refused(api, north, job) == code
    assert str(data) not in json.dumps(shown(north, job))


def test_a_run_with_more_items_than_the_quota_ends(
    tmp_path: Path, empty_valkey: str, credentials: Path, data: Path
) -> None:
    for number in range(3):
        put(data, f"{number}.png")
    with (
        running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials), tenant_frames=2) as api,
        api.client() as client,
    ):
        job = submitted(client, listing={"source": f"{data.as_uri()}/"})
        assert refused(api, client, job) == "frames_quota_reached"


def test_a_withdrawn_right_ends_the_run(api: RunningApi, north: httpx.Client, data: Path, credentials: Path) -> None:
    put(data, "a.png")
    job = submitted(north, listing={"source": f"{data.as_uri()}/"})
    write_credentials(credentials)
    os.utime(credentials, (1, 1))
    assert refused(api, north, job) == "source_forbidden"


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
    first = post(north, KEY, listing=source).json()["id"]
    assert post(north, KEY, listing=source).json()["id"] == first
    other = post(north, KEY, listing=source, options={"max_rejected_share": 0.5})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(api.objects("live/")) == 1


def test_the_plan_of_a_run_is_restored_when_redis_has_lost_it(api: RunningApi, north: httpx.Client, data: Path) -> None:
    from worker.sweep.reconcile import reconcile_job

    put(data, "a.png")
    job = submitted(north, listing={"source": f"{data.as_uri()}/"})
    planned(api)
    before = items(api, job)
    put(data, "b.png")
    assert api.ledger.jobs.forget(job, "north")
    reconcile_job(parts_of(api), job)
    plan_jobs(parts_of(api), time.monotonic() + 60)
    assert items(api, job) == before
    assert shown(north, job)["counts"]["total"] == 1
