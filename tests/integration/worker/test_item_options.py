"""Items with options of their own: what is planned for them, and how lines with wrong options are rejected."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from maskrelay.contract.records.planned_items import PlannedItem
from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.builders.phantoms import ball, nifti, oblique, series, voxels
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.driven_jobs import driven, finished, frames_of, planned
from tests.support.drivers.runs import PROMPT, accepted_run, uploaded
from tests.support.servers.apis import RunningApi, running_api
from worker.context.job_records.plans import read_item_part

#: Along its voxel axes, the volume has 12, 10 and 4 slices.
RASTER = oblique((12, 10, 4), (1.0, 1.0, 3.0))
VOXELS = voxels(RASTER, ball((0, 0, 0), 6))


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str, data: Path) -> Iterator[RunningApi]:
    credentials = write_credentials(tmp_path / "credentials.json", folder_credential(data))
    with running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials)) as running:
        yield running


def put(data: Path, name: str, body: bytes) -> str:
    """Write a file. Return its URL."""
    (data / name).write_bytes(body)
    return (data / name).as_uri()


def submitted(client: httpx.Client, **body: Any) -> str:
    answer = client.post("/v1/jobs", json={"prompts": [PROMPT], **body})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def items_of_plan(api: RunningApi, job: str) -> list[PlannedItem]:
    return read_item_part(api.storage, job, 0)


def manifest(rows: list[dict[str, Any]], kind: str) -> bytes:
    if kind == "parquet":
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), file)
        return file.getvalue()
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ";".join(value)
    return json.dumps(value) if isinstance(value, dict) else value


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_each_row_of_a_manifest_is_planned_with_its_own_options(
    api: RunningApi, north: httpx.Client, data: Path, kind: str
) -> None:
    url = put(data, "a.nii.gz", nifti(RASTER, VOXELS))
    other = {"window": [-10.0, 90.0]}
    rows = [
        {"source": url, "slice_axis": None, "outputs": None, "intensity": None},
        {"source": url, "slice_axis": 0, "outputs": ["mask", "nifti"], "intensity": None},
        {"source": url, "slice_axis": 1, "outputs": ["overlay"], "intensity": other},
    ]
    options = {"slice_axis": 2, "outputs": ["contact-sheet"], "intensity": "ct-liver"}
    job = submitted(north, manifest={"source": put(data, f"run.{kind}", manifest(rows, kind))}, options=options)
    planned(api)
    items = items_of_plan(api, job)
    assert [item.frames for item in items] == [4, 12, 10]
    assert [item.outputs for item in items] == [("contact-sheet",), ("mask", "nifti"), ("overlay",)]
    frames = {frame.item: frame for frame in frames_of(api, job)}
    windows = [frames[item].reading.window for item in range(3)]
    assert [window and (window.low, window.high) for window in windows] == [(-25, 230), (-25, 230), (-10, 90)]


def test_a_row_with_a_wrong_option_is_rejected_and_the_others_are_planned(
    api: RunningApi, north: httpx.Client, data: Path
) -> None:
    url = put(data, "a.nii.gz", nifti(RASTER, VOXELS))
    rows = ["source,slice_axis,volume,square_pixels,outputs", f"{url},0,0,true,mask"]
    rows += [f"{url},3,,,", f"{url},,first,,", f"{url},,,1,", f"{url},,,,mask;report"]
    body = "\n".join(rows).encode()
    job = submitted(north, manifest={"source": put(data, "run.csv", body)}, options={"max_rejected_share": 0.8})
    planned(api)
    assert [item.frames for item in items_of_plan(api, job)] == [12]
    assert all(frame.square_pixels for frame in frames_of(api, job))
    page = north.get(f"/v1/jobs/{job}/rejected").json()["rejected"]
    assert [(line["line"], line["code"], line["pointer"]) for line in page] == [
        (3, "option_invalid", "#/options/slice_axis"),
        (4, "option_invalid", "#/options/volume"),
        (5, "option_invalid", "#/options/square_pixels"),
        (6, "option_invalid", "#/options/outputs"),
    ]


def test_a_manifest_with_an_option_of_the_whole_job_says_so(api: RunningApi, north: httpx.Client, data: Path) -> None:
    url = put(data, "run.csv", b"source,identifiers\na,none\n")
    job = submitted(north, manifest={"source": url})
    planned(api)
    error = north.get(f"/v1/jobs/{job}").json()["error"]
    assert error["code"] == "manifest_invalid"
    assert "`identifiers` is an option of the whole job" in error["detail"]


def everything() -> list[bytes]:
    slices = series(RASTER, VOXELS, np.arange(4))
    return [nifti(RASTER, VOXELS), *slices, saved(gradient(24, 20), "PNG")]


def test_items_that_repeat_the_options_of_their_job_have_the_same_plan(api: RunningApi, north: httpx.Client) -> None:
    """Only some of the objects of the series repeat them, and it is still one item."""
    own = {"slice_axis": 1, "intensity": "ct-lung", "square_pixels": True, "outputs": ["mask", "seg", "nifti"]}
    options = {**own, "outputs": [*own["outputs"], "report"]}  # type: ignore[misc]
    uploads = uploaded(north, *everything())
    plain = [{"upload": upload} for upload in uploads]
    repeating = [{**item, "options": own} if n % 2 == 0 else item for n, item in enumerate(plain)]
    expected, job = (submitted(north, items=items, options=options) for items in (plain, repeating))
    run = accepted_run(north, {"prompts": [PROMPT], "options": options}, *repeating)
    planned(api)
    assert [item.frames for item in items_of_plan(api, expected)] == [10, 4, 1]
    for other in (job, run):
        assert items_of_plan(api, other) == items_of_plan(api, expected)
        assert frames_of(api, other) == frames_of(api, expected)


def test_objects_of_a_series_with_different_options_are_different_items(api: RunningApi, north: httpx.Client) -> None:
    items: list[dict[str, Any]] = [{"upload": upload} for upload in uploaded(north, *everything()[1:5])]
    items[1]["options"] = items[3]["options"] = {"outputs": ["overlay"]}
    job = submitted(north, items=items, options={"partial_series": "best_effort", "outputs": ["mask"]})
    planned(api)
    found = [(item.members, item.outputs) for item in items_of_plan(api, job)]
    assert found == [(("0", "2"), ("mask",)), (("1", "3"), ("overlay",))]


def test_a_dry_run_counts_the_frames_along_the_axis_of_each_item(api: RunningApi, north: httpx.Client) -> None:
    [upload] = uploaded(north, nifti(RASTER, VOXELS))
    items = [{"upload": upload, "custom_id": str(axis), "options": {"slice_axis": axis}} for axis in range(3)]
    job = submitted(north, items=items, options={"dry_run": True})
    planned(api)
    finished(api, job)
    assert north.get(f"/v1/jobs/{job}").json()["forecast"]["frames"] == 12 + 10 + 4


def test_a_redriven_item_keeps_its_options(api: RunningApi, north: httpx.Client) -> None:
    [upload] = uploaded(north, nifti(RASTER, VOXELS))
    items = [{"upload": upload, "custom_id": str(axis), "options": {"slice_axis": axis}} for axis in range(2)]
    job = submitted(north, items=items, options={"outputs": ["mask"]})
    driven(api, job, lambda frame: "scoring_failed" if frame.item == 1 and frame.index == 3 else None)
    again = north.post(f"/v1/jobs/{job}/redrive").json()["id"]
    planned(api)
    assert [(item.custom_id, item.frames) for item in items_of_plan(api, again)] == [("1", 10)]
