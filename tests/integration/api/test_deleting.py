"""Deleting a job: gone at once for everybody, its objects and uploads soon after, whatever dies on the way."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from api.routes import ACCESS
from maskrelay.contract.records import keys
from maskrelay.contract.records.endings import Tombstone
from maskrelay.errors import StorageUnavailable
from maskrelay.ledger.claims import Claim, Settlement
from maskrelay.storage.file_store import FileStorage
from tests.support.drivers.api_jobs import (
    accepted,
    failed,
    finish,
    plan,
    settle,
    submission_of,
    submit,
    succeeded,
    write_part,
)
from tests.support.drivers.cleanup_passes import later, parts_of, removed
from tests.support.servers.apis import CLOSED_REDIS, RunningApi, running_api
from worker.cleanup.deleted_jobs import remove, remove_gone
from worker.context import WorkerContext
from worker.sweep.reconcile import reconcile

OF_A_JOB = sorted(row for row in ACCESS if "{job}" in row[1])


@pytest.fixture
def admin(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client("admin") as client:
        yield client


def finished(api: RunningApi, client: httpx.Client, **more: Any) -> str:
    job = accepted(client, b"a", b"b", **more)
    plan(api, job)
    outcomes = succeeded(api, job, 0), failed(1)
    settle(api, job, 1, *outcomes)
    finish(api, job, *outcomes)
    return job


def known_to(url: str, job: str) -> list[str]:
    """Every key of the ledger that names the job, or holds it."""
    found = []
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter("mr:*"):
            kind = client.type(key).decode()
            read = {"zset": lambda k: client.zrange(k, 0, -1), "hash": client.hgetall, "set": client.smembers}
            held = str(read[kind](key)) if kind in read else ""
            if job in key.decode() + held:
                found.append(key.decode())
    return found


@pytest.mark.parametrize("running", [True, False])
def test_a_deleted_job_is_gone_on_every_route_at_once(api: RunningApi, admin: httpx.Client, running: bool) -> None:
    job = accepted(admin, b"a") if running else finished(api, admin)
    assert admin.delete(f"/v1/jobs/{job}").status_code == 204
    for method, route in OF_A_JOB:
        path = route.format(job=job, name="result.json", item=0, event="evt_" + "0" * 32)
        answer = admin.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (410, "gone"), path
    assert admin.get("/v1/jobs").json()["jobs"] == []


def test_the_tombstone_says_whose_and_who_and_when_but_no_key(api: RunningApi, admin: httpx.Client) -> None:
    job = finished(api, admin)
    before = datetime.now(UTC)
    admin.delete(f"/v1/jobs/{job}")
    raw = api.storage.get(keys.gone(job))
    tombstone = Tombstone.model_validate_json(raw)
    assert (tombstone.tenant, tombstone.reason) == ("north", "deleted")
    assert before <= tombstone.at <= datetime.now(UTC)
    assert tombstone.by is not None
    assert tombstone.by.startswith("key:")
    assert b"admin" not in raw


def test_deleting_needs_admin_and_ones_own_job(api: RunningApi, north: httpx.Client, south: httpx.Client) -> None:
    job = accepted(north, b"a")
    assert north.delete(f"/v1/jobs/{job}").json()["code"] == "scope_missing"
    with running_api(api.folder, api.settings.redis_url.get_secret_value()) as other, other.client("admin") as admin:
        theirs = accepted(south, b"a")
        for unknown in (theirs, "a" * 26, "x"):
            assert admin.delete(f"/v1/jobs/{unknown}").json()["code"] == "not_found"
    assert south.get(f"/v1/jobs/{theirs}").status_code == 200
    assert north.get(f"/v1/jobs/{job}").status_code == 200


def test_what_is_under_way_is_lost_and_nothing_more_is_begun(
    api: RunningApi, admin: httpx.Client, api_valkey: str
) -> None:
    job = accepted(admin, b"a", b"b")
    plan(api, job)
    claim = api.ledger.claims.take(0, ["interactive", "bulk"], 1)
    assert isinstance(claim, Claim)
    admin.delete(f"/v1/jobs/{job}")
    assert api.ledger.claims.take(0, ["interactive", "bulk"]) is None
    assert api.ledger.claims.renew([claim.token]) == {claim.token}
    part = "0000000000000001-0123abcd-000001"
    write_part(api, job, part, failed(claim.first))
    assert api.ledger.claims.settle(job, part, [Settlement(claim.token, claim.first, True)]) == set()
    assert not api.ledger.claims.release(claim.token, claim.first)
    assert known_to(api_valkey, job) == []


def test_a_repeat_under_its_idempotency_key_is_410_also_after_everything_is_removed(
    api: RunningApi, admin: httpx.Client
) -> None:
    headers = {"Idempotency-Key": "night run"}
    job = accepted(admin, b"a", headers=headers)
    admin.delete(f"/v1/jobs/{job}")
    assert submit(admin, b"a", headers=headers).json()["code"] == "gone"
    removed(api)
    assert submit(admin, b"a", headers=headers).json()["code"] == "gone"
    assert api.objects() == [keys.gone(job)]


def test_everything_of_the_job_is_removed_but_its_tombstone(
    api: RunningApi, admin: httpx.Client, api_valkey: str
) -> None:
    job = finished(api, admin, options={"callback": {"url": "http://127.0.0.1:9/hook"}})
    admin.delete(f"/v1/jobs/{job}")
    removed(api)
    assert api.objects("uploads/", "live/", "jobs/", "removing/") == [keys.gone(job)]
    assert known_to(api_valkey, job) == []
    assert admin.get(f"/v1/jobs/{job}").status_code == 410


def test_a_large_jobs_items_and_uploads_go_too(api: RunningApi, admin: httpx.Client) -> None:
    job = accepted(admin, *(str(number).encode() for number in range(25)))
    assert submission_of(api, job).items_key is not None
    admin.delete(f"/v1/jobs/{job}")
    removed(api)
    assert api.objects("uploads/", "live/", "jobs/", "removing/") == [keys.gone(job)]


def test_what_a_late_worker_writes_is_removed_by_the_second_go(api: RunningApi, admin: httpx.Client) -> None:
    job = finished(api, admin)
    admin.delete(f"/v1/jobs/{job}")
    remove_gone(parts_of(api), later())
    write_part(api, job, "0000000000000009-0123abcd-000009", failed(0))
    remove_gone(parts_of(api), later())
    assert keys.accepted(job) in api.objects()
    remove_gone(parts_of(api), later(hours=1))
    assert api.objects() == [keys.gone(job)]


def test_an_upload_that_another_job_uses_stays_until_that_goes_too(api: RunningApi, admin: httpx.Client) -> None:
    uploads = admin.post("/v1/uploads", content=b"pixels").json()["uploads"]
    key = keys.upload("north", uploads[0]["id"])
    body = {"items": [{"upload": uploads[0]["id"]}], "prompts": ["liver"]}
    one, two = (admin.post("/v1/jobs", json=body).json()["id"] for _ in range(2))
    admin.delete(f"/v1/jobs/{one}")
    removed(api)
    assert api.objects("uploads/") == [key, keys.upload_facts(key), keys.upload_use(key, two)]
    assert admin.post("/v1/jobs", json=body).status_code == 202
    for job in [one["id"] for one in admin.get("/v1/jobs").json()["jobs"]]:
        admin.delete(f"/v1/jobs/{job}")
    removed(api)
    assert api.objects("uploads/") == []


def test_an_upload_on_its_way_out_cannot_be_named_by_a_new_job(api: RunningApi, admin: httpx.Client) -> None:
    upload = admin.post("/v1/uploads", content=b"pixels").json()["uploads"][0]["id"]
    body = {"items": [{"upload": upload}], "prompts": ["liver"]}
    admin.delete(f"/v1/jobs/{admin.post('/v1/jobs', json=body).json()['id']}")
    remove_gone(parts_of(api), later())
    assert api.storage.get(keys.upload("north", upload)) == b"pixels"
    assert admin.post("/v1/jobs", json=body).json()["code"] == "upload_unknown"


def test_a_job_that_took_the_upload_up_meanwhile_keeps_it(api: RunningApi, admin: httpx.Client) -> None:
    """It had read the upload's facts before they went, and marked its use before the second go."""
    upload = admin.post("/v1/uploads", content=b"pixels").json()["uploads"][0]["id"]
    job = admin.post("/v1/jobs", json={"items": [{"upload": upload}], "prompts": ["liver"]}).json()["id"]
    admin.delete(f"/v1/jobs/{job}")
    remove_gone(parts_of(api), later())
    key = keys.upload("north", upload)
    api.storage.put(keys.upload_use(key, "b" * 26), b"")
    remove_gone(parts_of(api), later(hours=1))
    assert api.storage.get(key) == b"pixels"


class Failing(FileStorage):
    """A store that goes away after so many deletions."""

    def __init__(self, root: Path, left: int) -> None:
        super().__init__(root)
        self._left = left

    def delete(self, key: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise StorageUnavailable
        super().delete(key)


def test_a_removal_that_is_cut_off_anywhere_is_finished_by_another(api: RunningApi, admin: httpx.Client) -> None:
    cut, left = True, 0
    while cut:
        job = finished(api, admin)
        admin.delete(f"/v1/jobs/{job}")
        broken = WorkerContext(api.settings, Failing(api.folder, left), api.ledger)
        try:
            remove(broken, job, later())
            remove(broken, job, later(hours=1))
            cut = False
        except StorageUnavailable:
            left += 1
        assert admin.get(f"/v1/jobs/{job}").status_code == 410
        remove(parts_of(api), job, later(hours=2))
        remove(parts_of(api), job, later(hours=4))
        assert api.objects("uploads/", "live/", f"jobs/{job}/", "removing/") == [keys.gone(job)]
    assert left > 10


def test_any_number_may_remove_at_once(api: RunningApi, admin: httpx.Client) -> None:
    jobs = [finished(api, admin) for _ in range(4)]
    for job in jobs:
        admin.delete(f"/v1/jobs/{job}")
    for moment in (later(), later(hours=1), later(hours=3)):
        threads = [
            threading.Thread(target=lambda: [remove(parts_of(api), job, moment) for job in jobs])  # noqa: B023
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert api.objects("uploads/", "live/", "jobs/", "removing/") == sorted(keys.gone(job) for job in jobs)


def test_a_marker_whose_tombstone_never_came_removes_nothing_and_goes(api: RunningApi, north: httpx.Client) -> None:
    job = finished(api, north)
    before = api.objects()
    api.storage.put(keys.removing(job), b"")
    remove_gone(parts_of(api), later())
    assert api.objects("removing/") == [keys.removing(job)]
    remove_gone(parts_of(api), later(hours=2))
    assert api.objects("removing/") == []
    assert api.objects() == before
    assert north.get(f"/v1/jobs/{job}").status_code == 200


def test_a_deleted_job_that_redis_brings_back_is_forgotten_again(
    api: RunningApi, admin: httpx.Client, api_valkey: str
) -> None:
    job = accepted(admin, b"a")
    submission = submission_of(api, job)
    admin.delete(f"/v1/jobs/{job}")
    api.ledger.jobs.create(job, "north", "interactive", 1, submission.created_at)
    reconcile(parts_of(api))
    assert known_to(api_valkey, job) == []
    assert api.objects("live/") == []


def test_a_finished_job_is_deleted_without_redis(api: RunningApi, north: httpx.Client) -> None:
    ended, begun = finished(api, north), accepted(north, b"c")
    with running_api(api.folder, CLOSED_REDIS) as cut_off, cut_off.client("admin") as client:
        assert client.delete(f"/v1/jobs/{ended}").status_code == 204
        assert client.get(f"/v1/jobs/{ended}").status_code == 410
        answer = client.delete(f"/v1/jobs/{begun}")
        assert (answer.status_code, answer.json()["code"]) == (503, "ledger_unavailable")
    assert north.get(f"/v1/jobs/{ended}").status_code == 410
    assert north.get(f"/v1/jobs/{begun}").status_code == 200


def test_without_storage_nothing_is_deleted(api: RunningApi, admin: httpx.Client) -> None:
    job = accepted(admin, b"a")
    away = api.folder.rename(api.folder.with_name("away"))
    assert admin.delete(f"/v1/jobs/{job}").json()["code"] == "storage_unavailable"
    away.rename(api.folder)
    assert admin.get(f"/v1/jobs/{job}").json()["state"] == "accepted"
    assert json.loads(api.storage.get(keys.accepted(job)))["id"] == job
