"""Ledger or storage away: 503 with a time to come again, and a job exists fully or not at all."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from maskrelay.contract.records import keys
from maskrelay.contract.records.events import event_id
from tests.support.drivers.api_jobs import (
    accepted,
    failed,
    finish,
    submission_of,
    submit,
    succeeded,
)
from tests.support.servers.apis import CLOSED_REDIS, RunningApi, running_api


@pytest.fixture
def without_redis(tmp_path: Path) -> Iterator[RunningApi]:
    with running_api(tmp_path / "store", CLOSED_REDIS) as running:
        yield running


def check_unavailable(answer: httpx.Response, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["retryable"] is True
    assert answer.json()["retry_after_s"] == int(answer.headers["retry-after"]) >= 1


def test_without_redis_nothing_is_accepted_and_nothing_is_written(without_redis: RunningApi) -> None:
    with without_redis.client() as north:
        check_unavailable(submit(north, b"pixels"), "ledger_unavailable")
        check_unavailable(submit(north, b"pixels", headers={"Idempotency-Key": "k"}), "ledger_unavailable")
        check_unavailable(north.get("/v1/jobs"), "ledger_unavailable")
        check_unavailable(north.get(f"/v1/jobs/{'a' * 26}"), "ledger_unavailable")
    assert without_redis.files() == []


def test_a_redis_that_is_full_accepts_nothing(api: RunningApi, north: httpx.Client, api_valkey: str) -> None:
    with redis.Redis.from_url(api_valkey) as client:
        client.config_set("maxmemory", 1)
        try:
            check_unavailable(submit(north, b"pixels"), "ledger_full")
            answer = north.get("/readyz")
        finally:
            client.config_set("maxmemory", 0)
    assert (answer.status_code, answer.json()["ledger"]) == (503, "unavailable")
    assert api.objects() == []


def test_a_finished_job_is_read_without_redis(api: RunningApi, north: httpx.Client) -> None:
    ended, begun = accepted(north, b"a"), accepted(north, b"b")
    finish(api, ended, failed(0))
    with running_api(api.folder, CLOSED_REDIS) as cut_off, cut_off.client() as client:
        assert client.get(f"/v1/jobs/{ended}").json()["state"] == "failed"
        assert len(client.get(f"/v1/jobs/{ended}/items").json()["items"]) == 1
        check_unavailable(client.get(f"/v1/jobs/{begun}"), "ledger_unavailable")
        check_unavailable(client.post(f"/v1/jobs/{begun}/cancel"), "ledger_unavailable")
    assert not any("cancel" in key for key in api.objects())


def test_a_ledger_that_fails_after_acceptance_does_not_take_it_back(
    api: RunningApi, north: httpx.Client, api_valkey: str
) -> None:
    with redis.Redis.from_url(api_valkey) as client:
        client.set("mr:tenant:north", "not a set: the record cannot be made")
    answer = submit(north, b"pixels")
    assert (answer.status_code, answer.json()["state"]) == (202, "accepted")
    assert submission_of(api, answer.json()["id"]).total == 1


def test_without_storage_nothing_is_accepted_and_nothing_is_left(api: RunningApi, north: httpx.Client) -> None:
    upload = north.post("/v1/uploads", content=b"pixels").json()["uploads"][0]["id"]
    away = api.folder.rename(api.folder.with_name("away"))
    check_unavailable(submit(north, b"pixels"), "storage_unavailable")
    check_unavailable(north.post("/v1/uploads", content=b"pixels"), "storage_unavailable")
    body = {"items": [{"upload": upload}], "prompts": ["liver"]}
    check_unavailable(north.post("/v1/jobs", json=body), "storage_unavailable")
    away.rename(api.folder)
    assert api.objects("jobs/", "live/") == []
    assert north.get("/v1/jobs").json()["jobs"] == []
    assert north.post("/v1/jobs", json=body).status_code == 202


def test_a_store_that_takes_no_submission_leaves_no_job_and_no_upload_of_it(
    api: RunningApi, north: httpx.Client
) -> None:
    (api.folder / "live").write_bytes(b"a file where the folder of markers should be")
    answer = submit(north, b"pixels")
    assert answer.status_code in {500, 503}
    assert api.objects("jobs/") == []
    assert [path.name for path in api.files()] == ["live"]
    assert north.get("/v1/jobs").json()["jobs"] == []


def test_readiness_says_what_is_missing(api: RunningApi, north: httpx.Client, without_redis: RunningApi) -> None:
    assert north.get("/readyz").json() == {"ready": True, "ledger": "ok", "storage": "ok"}
    with httpx.Client(base_url=without_redis.url, trust_env=False) as client:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["ledger"], answer.json()["storage"]) == (503, "unavailable", "ok")
        assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/livez").status_code == 200
    api.folder.rename(api.folder.with_name("away"))
    answer = north.get("/readyz")
    assert (answer.status_code, answer.json()["storage"]) == (503, "unavailable")


def test_a_slow_store_or_ledger_does_not_hold_others_up(api: RunningApi, north: httpx.Client, api_valkey: str) -> None:
    """Long polls hold no thread: more of them than there are threads, and the API still answers."""
    job = accepted(north, b"a")
    answers: list[int] = []

    def wait() -> None:
        with api.client() as client:
            answers.append(client.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=60"}).status_code)

    waiting = [threading.Thread(target=wait) for _ in range(60)]
    for thread in waiting:
        thread.start()
    assert north.get("/v1/jobs").status_code == 200
    finish(api, job, failed(0))
    for thread in waiting:
        thread.join()
    assert answers == [200] * 60


def test_what_nobody_expected_is_a_problem_without_its_words(
    api: RunningApi, north: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    job = accepted(north, b"a", options={"callback": {"url": "http://127.0.0.1:9/", "events": ["job.accepted"]}})
    event = event_id(job, "job.accepted")
    api.storage.put(keys.event(job, event), b"{}")
    redis_url = api.settings.redis_url.get_secret_value()
    with (
        running_api(api.folder, redis_url) as fresh,
        fresh.client() as client,
        redis.Redis.from_url(redis_url) as ledger,
    ):
        ledger.hset("mr:outbox:last", f"{job} {event}", "Doe^Jane")
        answer = client.get(f"/v1/jobs/{job}/deliveries")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert answer.json()["trace_id"] in caplog.text
        for told in (answer.text, caplog.text):
            assert "Doe^Jane" not in told
        assert str(api.folder) not in answer.text
        assert "Traceback" not in answer.text
        assert client.get("/livez").status_code == 200


def test_a_file_that_ends_too_early_is_not_taken_for_a_whole_one(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    outcome = succeeded(api, job, 0, content=b"x" * 3_000_000)
    finish(api, job, outcome)
    assert outcome.overlay is not None
    api.storage.put(outcome.overlay.key, b"x" * 2_000_000)
    with pytest.raises(httpx.RemoteProtocolError):
        north.get(f"/v1/jobs/{job}/artifacts/0-0.overlay.png")
