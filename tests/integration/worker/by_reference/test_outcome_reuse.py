"""Outcomes and files of earlier jobs that a job with the same sources reuses, and when it does not."""

import asyncio
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.outcomes import ArtifactRef, Outcome
from maskrelay.contract.records.planned_items import Assembled
from maskrelay.settings import Settings
from maskrelay.sources.file_reader import FileReader
from maskrelay.storage.stored_records import read_record, read_records, read_result
from tests.integration.worker.by_reference.source_jobs import (
    PROMPT,
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
from tests.support.builders.phantoms import nifti, series
from tests.support.builders.pictures import gradient, saved
from tests.support.builders.zips import a_zip
from tests.support.drivers.cleanup_passes import removed
from tests.support.drivers.segmenting import segment_waiting_frames
from tests.support.servers.apis import RunningApi
from tests.support.servers.simulators import RunningSimulator
from worker.context import WorkerContext
from worker.plan.plan_step import plan_jobs


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
