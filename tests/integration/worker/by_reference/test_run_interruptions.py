"""Runs whose reading is interrupted by an outage or a cancellation, and a run that Redis has lost."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import maskrelay.rules.run_chunks
import worker.plan.run_expansion
from maskrelay.contract.records import keys
from maskrelay.errors import StorageUnavailable
from maskrelay.sources.source_readers import SourceReaders
from maskrelay.storage.submitted_items import expansion_of
from tests.integration.worker.by_reference.source_jobs import items_of_run, manifest, put, shown, submitted
from tests.support.drivers.api_jobs import submission_of
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import finished, planned
from tests.support.servers.apis import RunningApi
from worker.plan.plan_step import plan_jobs


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maskrelay.rules.run_chunks, "CHUNK_ITEMS", 3)


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
    described, other = submission_of(api, job).run, submission_of(api, expected).run
    assert described is not None
    assert other is not None
    prefix = described.chunks
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
    assert items_of_run(api, job) == items_of_run(api, expected)
    assert expansion_of(storage, described) == expansion_of(storage, other)
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


def plan_jobs_with(context: Any, lease: Any, seconds: float = 60) -> None:
    from worker.plan.plan_step import plan_job

    sources = context.sources()
    try:
        plan_job(context, sources, lease, time.monotonic() + seconds)
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


def test_the_plan_of_a_run_is_restored_when_redis_has_lost_it(api: RunningApi, north: httpx.Client, data: Path) -> None:
    from worker.sweep.reconcile import reconcile_job

    put(data, "a.png")
    job = submitted(north, listing={"source": f"{data.as_uri()}/"})
    planned(api)
    before = items_of_run(api, job)
    put(data, "b.png")
    assert api.ledger.jobs.forget(job, "north")
    reconcile_job(parts_of(api), job)
    plan_jobs(parts_of(api), time.monotonic() + 60)
    assert items_of_run(api, job) == before
    assert shown(north, job)["counts"]["total"] == 1


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.plan.run_expansion, "PASSED", 2)


@pytest.mark.usefixtures("passing")
def test_a_listing_with_few_matches_takes_turns_and_goes_on_where_it_was(
    api: RunningApi, north: httpx.Client, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a/1.dcm", *(f"a/2{number}.txt" for number in range(6)), "a/3.dcm", *(f"b/{n}.txt" for n in range(9))]
    for name in (*names, "c.png"):
        put(data, name)
    began: list[str | None] = []
    listed = SourceReaders.list

    def recorded(self: SourceReaders, tenant: str, url: str, credential: str | None, after: str | None = None) -> Any:
        began.append(after and after.removeprefix(f"{data.as_uri()}/"))
        return listed(self, tenant, url, credential, after)

    monkeypatch.setattr(SourceReaders, "list", recorded)
    job = submitted(north, listing={"source": f"{data.as_uri()}/**/*.dcm"})
    context = parts_of(api)
    run = submission_of(api, job).run
    assert run is not None
    while not api.objects(keys.expansion(run.chunks)):
        lease = context.ledger.step_leases.take("plan")
        assert lease is not None
        plan_jobs_with(context, lease, seconds=0)
    assert began == [None, "b/1.txt", "b/5.txt", "c.png"]  # a chunk does not end within the folder of its last item
    planned(api)
    assert [item.custom_id for item in items_of_run(api, job)] == ["a/1.dcm", "a/3.dcm"]
    assert shown(north, job)["counts"]["total"] == 2


@pytest.mark.usefixtures("passing")
def test_a_listing_without_matches_ends_when_its_job_is_cancelled(
    api: RunningApi, north: httpx.Client, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        put(data, f"{number:02}.txt")
    listed, found = SourceReaders.list, []

    def cancelled_meanwhile(self: SourceReaders, *arguments: Any) -> Any:
        for facts in listed(self, *arguments):
            found.append(facts)
            if len(found) == 5:
                assert north.post(f"/v1/jobs/{job}/cancel").status_code == 202
            yield facts

    monkeypatch.setattr(SourceReaders, "list", cancelled_meanwhile)
    job = submitted(north, listing={"source": f"{data.as_uri()}/*.png"})
    planned(api)
    assert len(found) == 6
    assert finished(api, job).state == "cancelled"
