"""Everything has its lifetime: results, uploads, events, records of the ledger; found window by window."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from maskrelay.contract.records import keys
from maskrelay.contract.records.endings import Tombstone
from maskrelay.contract.records.events import event_id
from tests.support.counted_storage import CountedStorage
from tests.support.drivers.api_jobs import (
    accepted,
    failed,
    finish,
    plan,
    settle,
    submission_of,
    write_part,
)
from tests.support.drivers.cleanup_passes import later, parts_of, removed
from tests.support.servers.apis import SMALL_LIMITS, RunningApi, running_api
from worker.cleanup import expiry, unused_uploads
from worker.cleanup.expiry import expire_jobs, retire_records
from worker.cleanup.unused_uploads import expire_uploads
from worker.cleanup.walks import next_keys

LIFETIMES: dict[str, Any] = {
    "result_lifetime": timedelta(days=10),
    "upload_lifetime": timedelta(days=1),
    "delivery_lifetime": timedelta(days=5),
}


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str) -> Iterator[RunningApi]:
    with running_api(tmp_path / "store", empty_valkey, **SMALL_LIMITS, **LIFETIMES) as running:
        yield running


def ended(api: RunningApi, client: httpx.Client, **more: Any) -> str:
    job = accepted(client, b"a", **more)
    plan(api, job)
    settle(api, job, 1, failed(0))
    finish(api, job, failed(0))
    return job


def test_a_result_expires_when_its_time_is_over_and_the_job_is_then_gone(
    api: RunningApi, north: httpx.Client, south: httpx.Client
) -> None:
    job = ended(api, north)
    assert expire_jobs(parts_of(api), later(days=9)) == 0
    assert north.get(f"/v1/jobs/{job}").status_code == 200
    assert expire_jobs(parts_of(api), later(days=11)) == 1
    answer = north.get(f"/v1/jobs/{job}/items")
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    assert south.get(f"/v1/jobs/{job}").status_code == 404
    tombstone = Tombstone.model_validate_json(api.storage.get(keys.gone(job)))
    assert (tombstone.tenant, tombstone.reason, tombstone.by) == ("north", "expired", None)
    removed(api)
    assert api.objects() == [keys.gone(job)]
    assert north.get("/v1/jobs").json()["jobs"] == []


def test_a_job_that_has_not_ended_never_expires(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    assert expire_jobs(parts_of(api), later(days=1000)) == 0
    assert north.get(f"/v1/jobs/{job}").json()["state"] == "accepted"


def test_a_window_is_bounded_and_the_walk_comes_to_every_job(
    api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = {ended(api, north) for _ in range(5)}
    monkeypatch.setattr(expiry, "KEYS_A_PASS", 4)
    every = api.objects("jobs/")
    passes = len(every) // 4 + 1
    found = [expire_jobs(parts_of(api), later(days=11)) for _ in range(passes)]
    assert sum(found) == len(jobs)
    assert max(found) <= 2
    assert {job for job in jobs if keys.gone(job) in api.objects("jobs/")} == jobs


def test_a_walk_goes_on_where_it_stood_in_another_process_and_begins_anew_at_the_end(
    api: RunningApi, empty_valkey: str
) -> None:
    for number in range(5):
        api.storage.put(f"jobs/{number}", b"")
    with running_api(api.folder, empty_valkey) as other:
        walked = [next_keys(parts_of(one), "jobs", "jobs/", 2) for one in (api, other, api, other)]
    assert walked == [["jobs/0", "jobs/1"], ["jobs/2", "jobs/3"], ["jobs/4"], ["jobs/0", "jobs/1"]]


def test_what_was_written_after_its_removal_marks_a_job_for_it_once_more(api: RunningApi, north: httpx.Client) -> None:
    job = ended(api, north)
    expire_jobs(parts_of(api), later(days=11))
    removed(api)
    write_part(api, job, "0000000000000009-0123abcd-000009", failed(0))
    expire_jobs(parts_of(api), later(days=12))
    removed(api)
    assert api.objects("jobs/", "removing/") == [keys.gone(job)]


def test_unused_uploads_go_when_their_time_is_over_and_used_ones_stay(api: RunningApi, north: httpx.Client) -> None:
    unused, used = (
        north.post("/v1/uploads", content=content).json()["uploads"][0]["id"] for content in (b"unused", b"used")
    )
    form = accepted(north, b"form")
    job = north.post("/v1/jobs", json={"items": [{"upload": used}], "prompts": ["liver"]}).json()["id"]
    assert expire_uploads(parts_of(api), later(hours=23)) == 0
    assert expire_uploads(parts_of(api), later(hours=25)) == 1
    left = api.objects("uploads/")
    assert not any(unused in key for key in left)
    for kept in (job, form):
        assert api.storage.head(submission_of(api, kept).items[0].source).size > 0
    assert expire_uploads(parts_of(api), later(days=300)) == 0


def test_a_walk_over_used_uploads_asks_once_for_each_job(api: RunningApi, north: httpx.Client) -> None:
    files = [("image", (f"{number}.png", b"%d" % number)) for number in range(8)]
    job = north.post("/v1/jobs", files=files, data={"prompt": "liver"}).json()["id"]
    storage = CountedStorage(api.storage)
    context = replace(parts_of(api), storage=storage)
    for moment in (later(hours=1), later(hours=25)):
        assert expire_uploads(context, moment) == 0
        assert storage.read == {keys.accepted(job): 1}
        storage.read.clear()


def test_the_mark_of_a_job_that_was_never_accepted_does_not_keep_an_upload(
    api: RunningApi, north: httpx.Client
) -> None:
    key = keys.upload("north", north.post("/v1/uploads", content=b"x").json()["uploads"][0]["id"])
    api.storage.put(keys.upload_use(key, "a" * 26), b"")
    assert expire_uploads(parts_of(api), later(hours=25)) == 1
    assert api.objects("uploads/") == []


def test_a_used_upload_is_kept_also_when_its_mark_lies_behind_the_window(
    api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted(north, b"form")
    monkeypatch.setattr(unused_uploads, "KEYS_A_PASS", 1)
    before = api.objects("uploads/")
    for _ in range(4):
        assert expire_uploads(parts_of(api), later(hours=25)) == 0
    assert api.objects("uploads/") == before


def test_an_event_cannot_be_replayed_for_ever_but_stays_delivered(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", options={"callback": {"url": "http://127.0.0.1:9/hook"}})
    told, waiting = event_id(job, "job.succeeded"), event_id(job, "job.running")
    for event in (told, waiting):
        api.storage.put(keys.event(job, event), b"{}")
    api.storage.put(keys.delivered(job, told), b"{}")
    expire_jobs(parts_of(api), later(days=4))
    assert keys.event(job, told) in api.objects()
    expire_jobs(parts_of(api), later(days=6))
    assert keys.event(job, told) not in api.objects()
    assert {keys.delivered(job, told), keys.event(job, waiting)} <= set(api.objects())


def long_ended(url: str, job: str) -> None:
    """Let the job have ended eight days ago by the ledger's clock."""
    with redis.Redis.from_url(url) as client:
        finished = int(client.hget(f"mr:job:{job}", "finished"))
        client.hset(f"mr:job:{job}", "finished", finished - 8 * 86_400_000)


def test_a_record_of_a_job_that_ended_long_ago_is_dropped_and_storage_answers(
    api: RunningApi, north: httpx.Client, empty_valkey: str
) -> None:
    old, young, running = ended(api, north), ended(api, north), accepted(north, b"a")
    long_ended(empty_valkey, old)
    before = north.get(f"/v1/jobs/{old}").json()
    assert retire_records(parts_of(api)) == 1
    assert api.ledger.jobs.get(old) is None
    assert north.get(f"/v1/jobs/{old}").json() == before
    assert [one["id"] for one in north.get("/v1/jobs").json()["jobs"]] == [running, young, old]
    assert api.ledger.jobs.get(young) is not None
    assert api.ledger.jobs.get(running) is not None
    assert retire_records(parts_of(api)) == 0


def test_a_record_of_a_deleted_job_that_an_old_copy_of_redis_brought_back_is_dropped(
    api: RunningApi, north: httpx.Client
) -> None:
    job = accepted(north, b"a")
    created = submission_of(api, job).created_at
    with api.client("admin") as admin:
        admin.delete(f"/v1/jobs/{job}")
    removed(api)
    api.ledger.jobs.create(job, "north", "interactive", 1, created)
    retire_records(parts_of(api))
    assert api.ledger.jobs.get(job) is None
    assert api.ledger.wake_ups.work("plan") == 0
