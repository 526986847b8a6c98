"""Sources by reference that are missing, change or are away, and redrives of their items."""

import gzip
import os
import time
from pathlib import Path

import httpx
import pytest

from tests.integration.worker.by_reference.source_jobs import (
    RASTER,
    SLICES,
    finish,
    outcomes,
    picture,
    put,
    run,
    submitted,
)
from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.builders.phantoms import nifti
from tests.support.builders.zips import a_zip
from tests.support.servers.apis import RunningApi
from worker.context import WorkerContext
from worker.plan.plan_step import plan_jobs


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
