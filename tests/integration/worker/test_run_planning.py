"""Runs are planned chunk by chunk: the plan is that of one job, it goes on where it was, and it ends as any job."""

from contextlib import closing
from typing import Any

import httpx
import pytest

import maskrelay.rules.run_chunks
import worker.context.job_records.plans
import worker.finish.final_objects
import worker.finish.finish_step
import worker.plan.layout
import worker.plan.plan_step
from maskrelay.contract.records import keys
from maskrelay.storage.submitted_items import read_start
from tests.support.builders.pictures import gradient, saved, three_pages
from tests.support.builders.zips import a_zip
from tests.support.drivers.api_jobs import items_of, submission_of
from tests.support.drivers.cleanup_passes import later, parts_of, removed
from tests.support.drivers.driven_jobs import by_frame, driven, finished, planned
from tests.support.drivers.runs import PROMPT, accepted_run, uploaded
from tests.support.servers.apis import RunningApi
from worker.cleanup.stray_objects import sweep_stray_objects
from worker.context.job_records.plans import planned_items
from worker.plan.guarded_opening import GuardedOpener
from worker.plan.layout import planned_parts
from worker.plan.plan_step import _extend

HEAD: dict[str, Any] = {"prompts": [PROMPT]}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk has 3 items, and a part of the plan 4 frames."""
    monkeypatch.setattr(maskrelay.rules.run_chunks, "CHUNK_ITEMS", 3)
    monkeypatch.setattr(worker.plan.layout, "FRAMES_PER_PART", 4)
    monkeypatch.setattr(worker.plan.plan_step, "FRAMES_PER_PART", 4)
    monkeypatch.setattr(worker.context.job_records.plans, "FRAMES_PER_PART", 4)
    monkeypatch.setattr(worker.finish.final_objects, "FRAMES_PER_PART", 4)
    monkeypatch.setattr(worker.finish.finish_step, "FRAMES_PER_PART", 4)


def stills(number: int) -> list[bytes]:
    return [saved(gradient(20 + width, 16), "PNG") for width in range(number)]


def mixed() -> list[bytes]:
    """Return sources of one frame, of three frames and of several items."""
    pages = three_pages()
    return [
        *stills(2),
        pages,
        a_zip(("a.png", stills(1)[0]), ("b.tif", pages)),
        *stills(2),
        pages,
        *stills(3),
        b"no picture",
    ]


def plan_of(api: RunningApi, job: str) -> list[dict[str, Any]]:
    """Return the planned items and their frames, without what differs between two jobs."""
    parts = sum(1 for _ in api.storage.list(keys.frames(job)))
    found = []
    for item, frames in planned_items(api.storage, job, parts):
        each = [frame.model_dump(exclude={"source"}) for frame in frames]
        found.append({**item.model_dump(), "each": each})
    return found


def run_of(client: httpx.Client, files: list[bytes], **options: Any) -> str:
    lines = [{"upload": upload} for upload in uploaded(client, *files)]
    return accepted_run(client, {**HEAD, "options": options}, *lines)


def test_the_plan_of_a_run_is_that_of_a_job(api: RunningApi, north: httpx.Client) -> None:
    job = north.post(
        "/v1/jobs", json={"items": [{"upload": upload} for upload in uploaded(north, *mixed())], **HEAD}
    ).json()["id"]
    run = run_of(north, mixed())
    planned(api)
    assert plan_of(api, run) == plan_of(api, job)
    assert len(list(api.storage.list(keys.chunk_starts(run)))) == 5
    record = api.ledger.jobs.get(run)
    assert record is not None
    assert (record.planned, record.total, record.lane) == (True, 12, "interactive")


def test_an_interrupted_plan_goes_on_with_the_chunk_where_it_was(api: RunningApi, north: httpx.Client) -> None:
    expected = run_of(north, mixed())
    planned(api)
    run = run_of(north, mixed())
    submission, parts = submission_of(api, run), parts_of(api)
    assert submission.run is not None
    lease = parts.ledger.step_leases.take("plan")
    assert lease is not None
    for number in range(5):
        begun = read_start(api.storage, run, 4 * number)
        if begun.chunk:  # a chunk that is planned is not read again
            api.storage.delete(keys.item_chunk(submission.run.chunks, begun.chunk - 1))
        with closing(parts.sources()) as sources, closing(GuardedOpener(parts, lease)) as opening:
            part = next(planned_parts(parts, sources, submission, opening, number, lambda: None))
            assert _extend(parts, submission, lease, part)
    assert part.last
    assert plan_of(api, run) == plan_of(api, expected)


def test_a_run_ends_with_every_item(api: RunningApi, north: httpx.Client) -> None:
    run = run_of(north, mixed(), outputs=["mask"])
    result = driven(api, run)
    assert (result.state, result.counts.total, result.frames.planned) == ("succeeded", 12, 18)
    items = north.get(f"/v1/jobs/{run}/items", params={"limit": 100}).json()["items"]
    assert [item["custom_id"] for item in items] == ["0", "1", "2", "3", "3/1", *map(str, range(4, 11))]


def test_a_run_that_is_cancelled_while_it_is_planned_names_every_item(
    api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(north, stills(11))
    parts = parts_of(api)
    lease = parts.ledger.step_leases.take("plan")
    assert lease is not None
    with closing(parts.sources()) as sources, closing(GuardedOpener(parts, lease)) as opening:
        some = planned_parts(parts, sources, submission_of(api, run), opening, 0, lambda: None)
        assert _extend(parts, submission_of(api, run), lease, next(some))
        assert _extend(parts, submission_of(api, run), lease, next(some))
    assert north.post(f"/v1/jobs/{run}/cancel").status_code == 202
    result = finished(api, run)
    assert (result.state, result.counts.total, result.counts.cancelled) == ("cancelled", 11, 11)
    items = north.get(f"/v1/jobs/{run}/items", params={"limit": 100}).json()["items"]
    assert [item["custom_id"] for item in items] == [str(number) for number in range(11)]


def test_nothing_of_a_deleted_run_stays(api: RunningApi, north: httpx.Client) -> None:
    run = run_of(north, stills(7))
    driven(api, run)
    with api.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{run}").status_code == 204
    removed(api)
    assert api.objects() == [keys.gone(run)]


def test_the_chunks_of_an_unaccepted_run_are_stray_and_those_of_the_run_are_not(
    api: RunningApi, north: httpx.Client
) -> None:
    run = run_of(north, stills(7))
    driven(api, run)
    kept = set(api.objects(keys.item_lists(run)))
    stray = keys.item_chunk(keys.item_chunks(run, "0123456789abcdef"), 0)
    api.storage.put(stray, b"{}")
    assert sweep_stray_objects(parts_of(api), [run], later(hours=1)) >= 1
    assert set(api.objects(keys.item_lists(run))) == kept


def test_the_failed_items_of_a_run_are_run_again(api: RunningApi, north: httpx.Client) -> None:
    run = run_of(north, stills(7))
    driven(api, run, by_frame({2: "scoring_failed", 5: "scoring_failed"}))
    again = north.post(f"/v1/jobs/{run}/redrive")
    assert again.status_code == 202, again.text
    assert again.json()["counts"]["total"] == 2
    assert [item.custom_id for item in items_of(api, again.json()["id"])] == ["2", "5"]
