"""Rows of jobs in the result tables, over a real ledger and storage, whatever is repeated or lost meanwhile."""

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
import redis
from deltalake import DeltaTable as DeltaReader

import worker.tabulate.outcome_reader
from maskrelay.contract.records import keys
from maskrelay.contract.records.endings import Halt
from maskrelay.contract.tables.table_schema import TABLES
from maskrelay.delta.delta_table import DeltaTable
from maskrelay.ledger.job_transitions import Jobs
from maskrelay.storage.protocol import has
from tests.support.builders.pictures import three_pages
from tests.support.drivers.api_jobs import accepted, failed, settle, submission_of, succeeded
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import finished, planned
from tests.support.servers.apis import RunningApi, make_ledger, make_settings
from worker.context import WorkerContext
from worker.process.child import WorkerChild
from worker.sweep.reconcile import reconcile
from worker.tabulate.final_rows import FINAL
from worker.tabulate.outcome_reader import frames_in, ranges_text
from worker.tabulate.running_rows import add_running_rows
from worker.tabulate.tabulate_step import tabulate_jobs
from worker.tabulate.tenant_tables import ResultTables

TABLE = {"outputs": ["mask", "table"]}


def tabulated(api: RunningApi, context: WorkerContext | None = None) -> None:
    """Run every tabulate step, as if all pauses were over."""
    with redis.Redis.from_url(api.settings.redis_url.get_secret_value()) as client:
        for job in client.zrange("mr:step:tabulate", 0, -1):
            client.zadd("mr:step:tabulate", {job: 1})
        for key in client.keys("mr:tables:*:rests"):
            client.delete(key)
    tabulate_jobs(context or parts_of(api), time.monotonic() + 60)


def rows(api: RunningApi, table: str, folder: Path | None = None) -> list[dict[str, Any]]:
    return pl.read_delta(str((folder or api.folder / "tables/north") / table)).to_dicts()


def frames(api: RunningApi) -> Counter[tuple[str, int, bool]]:
    """Return how often the table of masks has each frame."""
    return Counter((row["run"], row["run_frame"], row["final"]) for row in rows(api, "masks"))


def job_of(api: RunningApi, client: httpx.Client, images: int, **options: Any) -> str:
    """Return a planned job."""
    job = accepted(client, *(b"%d" % number for number in range(images)), options={**TABLE, **options})
    planned(api)
    return job


def test_a_finished_job_has_its_rows_in_the_four_tables(api: RunningApi, north: httpx.Client):
    job = job_of(api, north, 3, metadata={"cohort": 7})
    settle(api, job, 1, succeeded(api, job, 0), failed(1), succeeded(api, job, 2))
    assert finished(api, job).state == "partial"
    assert not has(api.storage, keys.tabulated(job))
    assert has(api.storage, keys.live(job))
    tabulated(api)
    assert has(api.storage, keys.tabulated(job))
    assert not has(api.storage, keys.live(job))
    assert frames(api) == Counter([(job, 0, True), (job, 2, True)])
    [first, second, third] = sorted(rows(api, "items"), key=lambda row: row["item"])
    assert (first["state"], second["error_code"], third["source_name"]) == ("succeeded", "truncated", "eye 2.png")
    assert [row["slices"] for row in rows(api, "segments")] == [1, 1]
    [run] = rows(api, "runs")
    assert (run["run"], run["state"], run["items_failed"], run["final"]) == (job, "partial", 1, True)
    assert json.loads(run["metadata_json"]) == {"cohort": 7}
    item = north.get(f"/v1/jobs/{job}/items").json()["items"][0]
    assert "table" not in item["links"]
    assert "outputs_not_made" not in item.get("findings", {})
    assert api.ledger.wake_ups.work("tabulate") == 0


def test_a_job_without_the_output_has_no_rows(api: RunningApi, north: httpx.Client):
    job = accepted(north, b"a")
    planned(api)
    settle(api, job, 1, succeeded(api, job, 0))
    finished(api, job)
    assert not has(api.storage, keys.live(job))
    tabulated(api)
    assert api.objects(keys.TABLES) == []


def test_rows_of_a_running_job_appear_and_are_replaced_at_the_end(api: RunningApi, north: httpx.Client):
    job = job_of(api, north, 4)
    tabulated(api)
    [run] = rows(api, "runs")
    assert (run["state"], run["final"], run["items"]) == ("running", False, 4)
    settle(api, job, 1, succeeded(api, job, 0), failed(1))
    tabulated(api)
    assert frames(api) == Counter([(job, 0, False)])
    tabulated(api)  # nothing is new
    settle(api, job, 2, succeeded(api, job, 2))
    tabulated(api)
    assert frames(api) == Counter([(job, 0, False), (job, 2, False)])
    assert DeltaReader(str(api.folder / "tables/north/masks")).version() == 1
    settle(api, job, 3, succeeded(api, job, 3))
    finished(api, job)
    tabulated(api)
    assert frames(api) == Counter([(job, 0, True), (job, 2, True), (job, 3, True)])
    [run] = rows(api, "runs")
    assert (run["state"], run["final"]) == ("partial", True)


def items(api: RunningApi) -> Counter[tuple[int, str, bool]]:
    """Return how often the table of items has each item, and whether those of segments agree."""
    found = rows(api, "items")
    assert {row["item"] for row in rows(api, "segments")} == {row["item"] for row in found if row["frames_succeeded"]}
    return Counter((row["item"], row["state"], row["final"]) for row in found)


def test_rows_of_items_and_segments_appear_when_all_frames_of_an_item_have_an_outcome(
    api: RunningApi, north: httpx.Client, empty_valkey: str
):
    job = accepted(north, b"a", three_pages(), b"b", options=TABLE)
    planned(api)
    pages = [succeeded(api, job, frame, item=1, index=frame - 1) for frame in (1, 2, 3)]
    settle(api, job, 1, pages[0], succeeded(api, job, 0), failed(4))
    tabulated(api)
    assert items(api) == Counter([(0, "succeeded", False), (2, "failed", False)])
    settle(api, job, 2, pages[2])
    tabulated(api)
    settle(api, job, 3, pages[1])
    tabulated(api)
    tabulated(api)  # nothing is new
    first = Counter([(0, "succeeded", False), (1, "succeeded", False), (2, "failed", False)])
    assert items(api) == first
    [segment] = [row for row in rows(api, "segments") if row["item"] == 1]
    assert (segment["frames"], segment["final"]) == (3, False)
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    reconcile(parts_of(api))
    planned(api)
    tabulated(api)
    assert items(api) == first
    finished(api, job)
    tabulated(api)
    assert items(api) == Counter((item, state, True) for item, state, _ in first)


def test_a_step_that_dies_between_segments_and_items_is_completed_by_the_next(
    api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch
):
    job = job_of(api, north, 3)
    settle(api, job, 1, succeeded(api, job, 0))
    add = DeltaTable.add

    def dying(table: DeltaTable, part: Any) -> bool:
        if table.name == "items":
            raise KeyboardInterrupt
        return add(table, part)

    with monkeypatch.context() as patched:
        patched.setattr(DeltaTable, "add", dying)
        with pytest.raises(KeyboardInterrupt):
            tabulated(api)
    settle(api, job, 2, succeeded(api, job, 1))
    tabulated(api)
    assert items(api) == Counter([(0, "succeeded", False), (1, "succeeded", False)])
    assert Counter(row["item"] for row in rows(api, "segments")) == Counter([0, 1])


def test_the_first_rows_of_a_running_job_are_due_within_two_minutes(api: RunningApi, north: httpx.Client):
    job_of(api, north, 2)
    with redis.Redis.from_url(api.settings.redis_url.get_secret_value()) as client:
        [(_, due)] = client.zrange("mr:step:tabulate", 0, -1, withscores=True)
    assert 0 < due / 1000 - time.time() < 90


def test_a_worker_that_saw_the_job_run_adds_nothing_after_the_final_rows(
    api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch
):
    job = job_of(api, north, 2)
    settle(api, job, 1, succeeded(api, job, 0), succeeded(api, job, 1))
    listed = api.ledger.jobs.parts(job)
    finished(api, job)
    tabulated(api)
    # The worker has read the job and its list of parts before the job was finished.
    monkeypatch.setattr(Jobs, "parts", lambda _, __, start=0, stop=-1: listed[start : None if stop < 0 else stop + 1])
    tables = ResultTables.below(api.storage, keys.tables("north"))
    halt = Halt(step="finish", code="finishing_failed", detail="", at=datetime.now(UTC))
    for halted in (None, halt):
        assert not add_running_rows(parts_of(api), submission_of(api, job), tables, time.monotonic() + 60, halted)
    assert frames(api) == Counter([(job, 0, True), (job, 1, True)])
    for table, count in (("items", 2), ("segments", 2)):
        assert [row["final"] for row in rows(api, table)] == [True] * count
    assert [(row["state"], row["final"]) for row in rows(api, "runs")] == [("succeeded", True)]


def test_a_loss_of_redis_neither_loses_nor_doubles_rows(api: RunningApi, north: httpx.Client, empty_valkey: str):
    job = job_of(api, north, 4)
    settle(api, job, 2, succeeded(api, job, 2), succeeded(api, job, 3))
    tabulated(api)
    settle(api, job, 1, succeeded(api, job, 0))  # its name sorts before that of the part that was read
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    reconcile(parts_of(api))
    planned(api)
    tabulated(api)
    assert frames(api) == Counter([(job, 2, False), (job, 3, False), (job, 0, False)])
    settle(api, job, 3, succeeded(api, job, 1))
    finished(api, job)
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    reconcile(parts_of(api))
    tabulated(api)
    assert frames(api) == Counter((job, frame, True) for frame in range(4))
    assert not has(api.storage, keys.live(job))


def test_many_frames_are_added_in_several_commits(
    api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(worker.tabulate.outcome_reader, "FRAMES_PER_COMMIT", 2)
    job = job_of(api, north, 5)
    for frame in range(5):
        settle(api, job, frame, succeeded(api, job, frame))
    tabulated(api)
    assert frames(api) == Counter((job, frame, False) for frame in range(5))
    for table in ("masks", "segments", "items"):
        assert DeltaReader(str(api.folder / "tables/north" / table)).version() == 2
    assert sorted(row["item"] for row in rows(api, "items")) == list(range(5))


def test_a_step_that_dies_between_two_tables_is_completed_by_the_next(
    api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch
):
    job = job_of(api, north, 2)
    settle(api, job, 1, succeeded(api, job, 0), succeeded(api, job, 1))
    finished(api, job)
    add = DeltaTable.add
    for died_at in ("segments", "items", "runs"):

        def dying(table: DeltaTable, part: Any, at: str = died_at) -> bool:
            if table.name == at:
                raise KeyboardInterrupt
            return add(table, part)

        with monkeypatch.context() as patched:
            patched.setattr(DeltaTable, "add", dying)
            with pytest.raises(KeyboardInterrupt):
                tabulated(api)
        assert not has(api.storage, keys.tabulated(job))
    tabulated(api)
    assert frames(api) == Counter([(job, 0, True), (job, 1, True)])
    assert [len(rows(api, table)) for table in TABLES] == [2, 2, 2, 1]


def test_the_tables_of_a_tenant_can_be_in_a_place_of_their_own(
    api: RunningApi, north: httpx.Client, south: httpx.Client, tmp_path: Path
):
    lake = tmp_path / "lake"
    lake.mkdir()
    file = tmp_path / "tables.json"
    file.write_text(json.dumps({"north": {"tables_url": lake.as_uri(), "always": True}}))
    settings = make_settings(api.folder, api.settings.redis_url.get_secret_value(), tables_file=str(file))
    context = WorkerContext(settings, api.storage, make_ledger(settings))
    jobs = {client: accepted(client, b"a") for client in (north, south)}
    planned(api)
    for job in jobs.values():
        settle(api, job, int(job == jobs[south]), succeeded(api, job, 0))
        finished(api, job)
        context.ledger.step_leases.queue("tabulate", job)
    tabulated(api, context)
    assert [row["run"] for row in rows(api, "masks", lake)] == [jobs[north]]
    assert api.objects(keys.TABLES) == []


@pytest.mark.parametrize("entry", ['{"north": {"tables_url": "ftp://x"}}', "{", '{"north": {"unknown": 1}}'])
def test_a_place_that_cannot_be_used_delays_the_rows_and_nothing_else(
    api: RunningApi, north: httpx.Client, tmp_path: Path, entry: str, caplog: pytest.LogCaptureFixture
):
    file = tmp_path / "tables.json"
    file.write_text(entry)
    settings = make_settings(api.folder, api.settings.redis_url.get_secret_value(), tables_file=str(file))
    context = WorkerContext(settings, api.storage, make_ledger(settings))
    job = job_of(api, north, 1)
    settle(api, job, 1, succeeded(api, job, 0))
    assert finished(api, job).state == "succeeded"
    tabulated(api, context)
    assert "rows of a job cannot be added" in caplog.text
    assert {record.code for record in caplog.records if hasattr(record, "code")} == {"settings_error"}
    assert north.get(f"/v1/jobs/{job}").json()["state"] == "succeeded"
    file.write_text('{"north": {}}')
    tabulated(api, context)
    assert frames(api) == Counter([(job, 0, True)])


def job_with_a_result(api: RunningApi, client: httpx.Client, number: int) -> str:
    job = job_of(api, client, 1)
    settle(api, job, number, succeeded(api, job, 0))
    finished(api, job)
    return job


def test_a_place_that_cannot_be_used_is_tried_once_for_all_its_jobs(
    api: RunningApi, north: httpx.Client, south: httpx.Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    lake, file = tmp_path / "lake", tmp_path / "tables.json"
    lake.write_text("no folder")
    file.write_text(json.dumps({"north": {"tables_url": lake.as_uri()}}))
    settings = make_settings(api.folder, api.settings.redis_url.get_secret_value(), tables_file=str(file))
    context = WorkerContext(settings, api.storage, make_ledger(settings))
    jobs = [job_with_a_result(api, client, number) for number, client in enumerate((north, north, north, south))]
    tabulated(api, context)
    assert caplog.text.count("rows of a job cannot be added") == 1
    assert {row["run"] for row in rows(api, "masks", api.folder / "tables/south")} == {jobs[3]}
    assert context.ledger.wake_ups.work("tabulate") == 0  # the other jobs wait until the place is tried again
    lake.unlink()
    lake.mkdir()
    tabulated(api, context)
    assert {row["run"] for row in rows(api, "masks", lake)} == set(jobs[:3])


def test_one_loop_at_a_time_adds_rows(api: RunningApi):
    child, worked = WorkerChild(api.settings, "control", lambda: True), list[str]()
    wakes = api.ledger.wake_ups
    wakes.running("tabulate", "other", timedelta(seconds=60))
    child.run_stage("tabulate", lambda *_: worked.append("beside another"))
    wakes.ended("tabulate", "other")
    child.run_stage("tabulate", lambda *_: worked.append(f"{wakes.loops('tabulate')} loop"))
    assert worked == ["1 loop"]
    assert wakes.loops("tabulate") == 0


def test_a_foreign_commit_is_reported_and_the_rows_are_added_when_it_is_gone(
    api: RunningApi, north: httpx.Client, caplog: pytest.LogCaptureFixture
):
    first, second = job_of(api, north, 1), job_of(api, north, 1)
    settle(api, first, 1, succeeded(api, first, 0))
    finished(api, first)
    tabulated(api)
    commit = keys.tables("north") + f"masks/_delta_log/{1:020d}.json"
    api.storage.create(commit, b'{"commitInfo":{"engineInfo":"other"}}\n')
    settle(api, second, 2, succeeded(api, second, 0))
    finished(api, second)
    tabulated(api)
    assert "table_foreign_commit" in {getattr(record, "code", "") for record in caplog.records}
    assert not has(api.storage, keys.tabulated(second))
    api.storage.delete(commit)
    tabulated(api)
    assert frames(api) == Counter([(first, 0, True), (second, 0, True)])


def test_a_deleted_job_gets_no_further_rows(api: RunningApi, north: httpx.Client):
    job = job_of(api, north, 2)
    settle(api, job, 1, succeeded(api, job, 0), succeeded(api, job, 1))
    finished(api, job)
    with api.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{job}").status_code == 204
    tabulated(api)
    assert api.objects(keys.TABLES) == []


@pytest.mark.parametrize(
    ("frames_of", "text"), [([], ""), ([5], "5"), ([0, 1, 2, 70], "0-2,70"), ([9, 3, 4, 8], "3-4,8-9")]
)
def test_ranges_of_frames_are_short_texts(frames_of: list[int], text: str):
    assert ranges_text(frames_of) == text
    assert sorted(frames_in(text)) == sorted(frames_of)


def test_the_last_part_fits_into_the_protocol():
    assert 1 << 31 < FINAL < 1 << 53
