"""Jobs as their callers see them: state by state, from the ledger or from storage, and nobody else's."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from api.dependencies import end_listener
from maskrelay.contract.records import keys
from maskrelay.ledger.claims import Claim
from tests.support.drivers.api_jobs import (
    PROMPT,
    accepted,
    conclude,
    failed,
    finish,
    plan,
    settle,
    submission_of,
    submit,
    succeeded,
)
from tests.support.servers.apis import RunningApi


def test_a_running_job_shows_its_progress(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b", b"c", options={"metadata": {"study": "x"}})
    plan(api, job)
    settle(api, job, 1, succeeded(api, job, 0), failed(1))
    answer = north.get(f"/v1/jobs/{job}")
    shown = answer.json()
    assert (answer.status_code, shown["state"], shown["planned"]) == (200, "running", True)
    assert shown["counts"] == {"total": 3, "succeeded": 1, "partial": 0, "failed": 1, "cancelled": 0}
    assert shown["frames"] == {"planned": 3, "waiting": 1, "leased": 0, "succeeded": 1, "failed": 1, "cancelled": 0}
    assert shown["metadata"] == {"study": "x"}
    assert shown["eta_s"] >= 0
    assert shown["timings"].keys() == {"planning", "queue", "endpoint", "workers", "storage", "total"}
    assert int(answer.headers["retry-after"]) >= 1


def test_a_finished_job_shows_what_its_result_says(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    settle(api, job, 1, succeeded(api, job, 0), failed(1))
    finish(api, job, succeeded(api, job, 0), failed(1))
    answer = north.get(f"/v1/jobs/{job}")
    shown = answer.json()
    assert (shown["state"], shown["planned"], shown["eta_s"]) == ("partial", True, None)
    assert shown["counts"] == {"total": 2, "succeeded": 1, "partial": 0, "failed": 1, "cancelled": 0}
    assert shown["timings"] == {}  # a result of before there were any
    assert shown["bottleneck"] is None
    assert shown["links"]["result"] == f"{shown['links']['self']}/artifacts/result.json"
    assert "retry-after" not in answer.headers


def test_an_etag_holds_until_something_changes(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    etag = north.get(f"/v1/jobs/{job}").headers["etag"]
    same = north.get(f"/v1/jobs/{job}", headers={"If-None-Match": f'"other", W/{etag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert int(same.headers["retry-after"]) >= 1
    plan(api, job)
    changed = north.get(f"/v1/jobs/{job}", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


def test_waiting_ends_when_the_job_does(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    answers: list[httpx.Response] = []
    waiting = threading.Thread(
        target=lambda: answers.append(north.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=30"}))
    )
    began = time.monotonic()
    waiting.start()
    finish(api, job, failed(0))
    waiting.join()
    assert (answers[0].status_code, answers[0].json()["state"]) == (200, "failed")
    assert answers[0].headers["preference-applied"] == "wait=30"
    assert time.monotonic() - began < 20


def test_waiting_ends_when_the_caller_goes(
    api: RunningApi, north: httpx.Client, api_valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_listener, "KEPT_S", 0.1)
    url, job = httpx.URL(api.url), accepted(north, b"a")
    form = '--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n'
    form += '--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nliver\r\n--b--\r\n'
    content = f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(form)}\r\n\r\n{form}"
    head = "HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer north\r\nPrefer: wait=50\r\n"
    with redis.Redis.from_url(api_valkey) as client:
        for request in (f"GET /v1/jobs/{job} {head}\r\n", f"POST /v1/jobs {head}{content}"):
            with socket.create_connection((url.host, url.port or 80)) as caller:
                caller.sendall(request.encode())
                while not client.pubsub_numsub("mr:bell:ended")[0][1]:
                    pass
            gone = time.monotonic()
            while client.pubsub_numsub("mr:bell:ended")[0][1]:
                assert time.monotonic() < gone + 25
    assert len(north.get("/v1/jobs").json()["jobs"]) == 2


def test_waiting_ends_also_when_the_announcement_is_lost(api: RunningApi, north: httpx.Client, api_valkey: str) -> None:
    """A job may end just while the one connection to the bell is broken."""
    job = accepted(north, b"a")
    with ThreadPoolExecutor(3) as callers, redis.Redis.from_url(api_valkey) as client:
        waiting = [callers.submit(north.get, f"/v1/jobs/{job}", headers={"Prefer": "wait=30"}) for _ in range(3)]
        while not client.pubsub_numsub("mr:bell:ended")[0][1]:
            pass
        assert client.client_kill_filter(_type="pubsub") == 1
        finish(api, job, failed(0))
        assert [answer.result().json()["state"] for answer in waiting] == ["failed"] * 3


def test_however_many_wait_they_share_one_connection_that_goes_some_time_after_the_last(
    api: RunningApi, north: httpx.Client, api_valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_listener, "KEPT_S", 0.1)
    jobs = [accepted(north, b"a") for _ in range(4)]
    with ThreadPoolExecutor(4) as callers, redis.Redis.from_url(api_valkey) as client:
        waiting = [callers.submit(north.get, f"/v1/jobs/{job}", headers={"Prefer": "wait=30"}) for job in jobs]
        finish(api, jobs[0], failed(0))
        waiting[0].result()
        while not (listeners := client.pubsub_numsub("mr:bell:ended")[0][1]):
            pass  # the others may not have come yet
        assert listeners == 1
        for job in jobs[1:]:
            finish(api, job, failed(0))
        assert [answer.result().json()["state"] for answer in waiting] == ["failed"] * 4
        while client.pubsub_numsub("mr:bell:ended")[0][1]:
            pass


def test_requests_that_wait_one_after_another_use_the_same_connection(
    api: RunningApi, north: httpx.Client, api_valkey: str
) -> None:
    with redis.Redis.from_url(api_valkey) as client:
        subscribed = []
        for _ in range(3):
            job = accepted(north, b"a")
            waiting = threading.Thread(
                target=north.get, args=(f"/v1/jobs/{job}",), kwargs={"headers": {"Prefer": "wait=30"}}
            )
            waiting.start()
            while not client.pubsub_numsub("mr:bell:ended")[0][1]:
                pass
            finish(api, job, failed(0))
            waiting.join()
            subscribed += [one["id"] for one in client.client_list("pubsub")]
        assert len(set(subscribed)) == 1


def test_what_the_ledger_lacks_is_answered_from_storage(
    api: RunningApi, north: httpx.Client, south: httpx.Client, api_valkey: str
) -> None:
    begun, cancelled, ended = (accepted(north, b"a", b"b") for _ in range(3))
    finish(api, ended, succeeded(api, ended, 0), failed(1))
    north.post(f"/v1/jobs/{cancelled}/cancel").raise_for_status()
    with redis.Redis.from_url(api_valkey) as client:
        client.flushall()
    for job, state in ((begun, "accepted"), (cancelled, "cancelling"), (ended, "partial")):
        shown = north.get(f"/v1/jobs/{job}")
        assert (shown.status_code, shown.json()["state"], shown.json()["counts"]["total"]) == (200, state, 2)
        assert south.get(f"/v1/jobs/{job}").status_code == 404
    assert [item["state"] for item in north.get(f"/v1/jobs/{ended}/items").json()["items"]] == ["succeeded", "failed"]


def test_a_result_in_storage_counts_only_once_the_ledger_knows_or_lacks_the_job(
    api: RunningApi, north: httpx.Client
) -> None:
    job = accepted(north, b"a")
    plan(api, job)
    settle(api, job, 1, failed(0))
    result = finish(api, job, failed(0), known=False)
    assert north.get(f"/v1/jobs/{job}").json()["state"] == "finishing"
    conclude(api, submission_of(api, job), result)
    assert north.get(f"/v1/jobs/{job}").json()["state"] == "failed"


@pytest.mark.parametrize("tombstone", [b'{"tenant": "north"}', b"{}"])
def test_a_deleted_job_answers_410_to_its_tenant_and_404_to_others(
    api: RunningApi, north: httpx.Client, south: httpx.Client, api_valkey: str, tombstone: bytes
) -> None:
    job = accepted(north, b"a")
    api.storage.put(keys.gone(job), tombstone)
    with redis.Redis.from_url(api_valkey) as client:
        client.flushall()
    answer = north.get(f"/v1/jobs/{job}")
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    assert south.get(f"/v1/jobs/{job}").status_code == 404


def test_nothing_of_a_job_is_seen_by_another_tenant(api: RunningApi, north: httpx.Client, south: httpx.Client) -> None:
    upload = north.post("/v1/uploads", content=b"pixels").json()["uploads"][0]["id"]
    job = accepted(north, b"a")
    finish(api, job, succeeded(api, job, 0))
    before = api.objects()
    paths = ["", "/items", "/artifacts/0-0-0.mask.png", "/artifacts/result.json"]
    asked = [("GET", f"/v1/jobs/{job}{path}") for path in paths] + [("POST", f"/v1/jobs/{job}/cancel")]
    for method, path in asked:
        unknown = path.replace(job, "a" * 26)
        theirs, nobodys = south.request(method, path), south.request(method, unknown)
        assert (theirs.status_code, nobodys.status_code) == (404, 404)
        assert alike(theirs, job) == alike(nobodys, "a" * 26)
    assert south.get("/v1/jobs").json() == {"jobs": [], "next": None}
    answer = south.post("/v1/jobs", json={"items": [{"upload": upload}], "prompts": [PROMPT]})
    assert (answer.status_code, answer.json()["code"]) == (422, "upload_unknown")
    assert api.objects() == before


def alike(answer: httpx.Response, job: str) -> dict:
    """A problem without what differs from request to request."""
    return {**answer.json(), "trace_id": "", "instance": answer.json()["instance"].replace(job, "")}


def test_jobs_are_listed_newest_first_page_by_page(north: httpx.Client, south: httpx.Client) -> None:
    jobs = []
    for _ in range(5):
        jobs.append(accepted(north, b"a"))
        time.sleep(0.002)  # the ledger's order has milliseconds
    accepted(south, b"a")
    listed, url = [], "/v1/jobs?limit=2"
    pages = 0
    while url:
        answer = north.get(url)
        listed += [job["id"] for job in answer.json()["jobs"]]
        assert ("next" in answer.links) == (answer.json()["next"] is not None)
        url = answer.links.get("next", {}).get("url", "")
        pages += 1
    assert listed == jobs[::-1]
    assert pages == 3


def test_a_list_goes_on_behind_jobs_that_were_deleted_meanwhile(api: RunningApi, north: httpx.Client) -> None:
    jobs = [accepted(north, b"a") for _ in range(5)]
    deleted: list[str] = []
    url = "/v1/jobs?limit=2"
    with api.client("admin") as admin:
        while url:
            answer = north.get(url)
            for job in answer.json()["jobs"]:
                assert admin.delete(f"/v1/jobs/{job['id']}").status_code == 204
                deleted.append(job["id"])
            url = answer.links.get("next", {}).get("url", "")
    assert sorted(deleted) == sorted(jobs)


def test_links_begin_with_the_public_address_where_there_is_one(api: RunningApi, empty_valkey: str) -> None:
    from tests.support.servers.apis import running_api

    limits = {"public_url": "https://masks.example.org/api/"}
    with running_api(api.folder, empty_valkey, **limits) as public, public.client() as north:
        answer = submit(north, b"a")
    links = answer.json()["links"].values()
    assert all(link.startswith("https://masks.example.org/api/v1/jobs/") for link in links)
    assert answer.headers["location"].startswith("https://masks.example.org/api/v1/jobs/")


def test_cancelling_leaves_the_intent_in_storage_and_moves_the_ledger(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a", b"b")
    plan(api, job)
    claim = api.ledger.claims.take(0, ["interactive"])
    assert isinstance(claim, Claim)
    first = north.post(f"/v1/jobs/{job}/cancel")
    again = north.post(f"/v1/jobs/{job}/cancel")
    assert (first.status_code, first.json()["state"]) == (202, "cancelling")
    assert (again.status_code, again.json()["state"]) == (202, "cancelling")
    assert {keys.cancel(job), keys.live(job), keys.live_cancel(job)} <= set(api.objects())
    record = api.ledger.jobs.get(job)
    assert record is not None
    assert record.state == "cancelling"
    assert api.ledger.claims.take(0, ["interactive"]) is None


def test_cancelling_what_nobody_holds_finishes_it_at_once_and_then_is_409(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    first = north.post(f"/v1/jobs/{job}/cancel")
    assert (first.status_code, first.json()["state"]) == (202, "finishing")
    again = north.post(f"/v1/jobs/{job}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "not_cancellable")


def test_a_finished_job_cannot_be_cancelled_and_keeps_its_files(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    finish(api, job, failed(0))
    before = api.objects()
    answer = north.post(f"/v1/jobs/{job}/cancel")
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (409, "not_cancellable", False)
    assert api.objects() == before


def test_a_job_that_only_storage_knows_can_be_cancelled(api: RunningApi, north: httpx.Client, api_valkey: str) -> None:
    job = accepted(north, b"a")
    with redis.Redis.from_url(api_valkey) as client:
        client.flushall()
    answer = north.post(f"/v1/jobs/{job}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelling")
    assert {keys.cancel(job), keys.live_cancel(job)} <= set(api.objects())
