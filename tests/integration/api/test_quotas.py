"""Quotas of a tenant: 429 with the quota's name before anything is taken, and room again when jobs have ended."""

import hashlib
import json
import os
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import redis

from maskrelay.contract.records import keys
from tests.support.drivers.api_jobs import (
    accepted,
    failed,
    finish,
    plan,
    settle,
    submit,
    succeeded,
)
from tests.support.drivers.cleanup_passes import (
    aged,
    later,
    parts_of,
    removed,
)
from tests.support.servers.apis import (
    CLOSED_REDIS,
    KEYS,
    RunningApi,
    running_api,
)
from worker.cleanup.unused_uploads import expire_uploads
from worker.sweep.reconcile import reconcile

QUOTAS = {"tenant_jobs": 4, "tenant_frames": 12, "tenant_interactive": 6, "tenant_bytes": 50_000}


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str) -> Iterator[RunningApi]:
    with running_api(tmp_path / "store", empty_valkey, **QUOTAS) as running:
        yield running


def check_reached(answer: httpx.Response, quota: str, most: int) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (429, f"{quota}_quota_reached")
    assert f"The quota is {most} " in problem["detail"]
    assert problem["retryable"] is True
    assert problem["retry_after_s"] == int(answer.headers["retry-after"]) >= 1


def uploaded(client: httpx.Client, size: int) -> str:
    return str(client.post("/v1/uploads", content=os.urandom(size)).json()["uploads"][0]["id"])


def by_upload(client: httpx.Client, *uploads: str, **options: Any) -> httpx.Response:
    items = [{"upload": upload} for upload in uploads]
    return client.post("/v1/jobs", json={"items": items, "prompts": ["liver"], "options": options})


def test_no_more_live_jobs_than_allowed_and_one_more_when_one_ends(api: RunningApi, north: httpx.Client) -> None:
    jobs = [accepted(north) for _ in range(4)]
    before = api.objects()
    check_reached(submit(north, b"pixels"), "jobs", 4)
    assert api.objects() == before
    with api.client("south") as south:
        assert submit(south, b"pixels").status_code == 202
    finish(api, jobs[0], failed(0))
    jobs.append(accepted(north))
    check_reached(submit(north, b"pixels"), "jobs", 4)
    with api.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{jobs[1]}").status_code == 204
    removed(api)
    accepted(north)


def test_no_more_frames_than_allowed_until_some_have_their_outcome(api: RunningApi, north: httpx.Client) -> None:
    images = [bytes([number]) for number in range(12)]
    job = accepted(north, *images[:11], options={"lane": "bulk"})
    check_reached(submit(north, *images[:2], options={"lane": "bulk"}), "frames", 12)
    plan(api, job)
    settle(api, job, 1, *(succeeded(api, job, frame) for frame in range(3)))
    accepted(north, *images[:4], options={"lane": "bulk"})
    check_reached(submit(north, b"pixels"), "frames", 12)


def test_interactive_frames_are_bounded_and_bulk_may_still_be_asked_for(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, *(bytes([number]) for number in range(5)))
    check_reached(submit(north, b"a", b"b"), "interactive", 6)
    accepted(north, b"a", b"b", options={"lane": "bulk"})
    assert north.post(f"/v1/jobs/{job}/cancel").status_code == 202
    accepted(north, b"a", b"b")


def test_bytes_are_those_of_live_jobs_each_upload_once_a_job(api: RunningApi, north: httpx.Client) -> None:
    first, second = uploaded(north, 20_000), uploaded(north, 25_000)
    assert by_upload(north, first, first, first).status_code == 202
    assert by_upload(north, second).status_code == 202
    before = api.objects()
    check_reached(by_upload(north, first), "bytes", 50_000)
    check_reached(submit(north, os.urandom(6000)), "bytes", 50_000)
    check_reached(north.post("/v1/uploads", content=os.urandom(6000)), "bytes", 50_000)
    assert api.objects() == before
    assert north.post("/v1/uploads", content=os.urandom(4000)).status_code == 201


def test_uploads_one_after_another_stay_within_the_quota_of_their_tenant(api: RunningApi, north: httpx.Client) -> None:
    answers = [north.post("/v1/uploads", content=os.urandom(9000)) for _ in range(20)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429] * 15
    check_reached(answers[-1], "bytes", 50_000)
    assert len(api.objects("uploads/north/")) == 2 * 5
    with api.client("south") as south:
        assert south.post("/v1/uploads", content=os.urandom(45_000)).status_code == 201


def test_uploads_at_the_same_time_do_not_pass_the_quota_together(api: RunningApi) -> None:
    def one(_: int) -> int:
        with api.client("north") as client:
            return client.post("/v1/uploads", content=chunked(9000)).status_code

    with ThreadPoolExecutor(8) as threads:
        assert Counter(threads.map(one, range(12))) == {201: 5, 429: 7}
    assert len(api.objects("uploads/")) == 2 * 5


def chunked(size: int) -> Iterator[bytes]:
    """A body without a declared length."""
    for start in range(0, size, 65_536):
        yield os.urandom(min(65_536, size - start))


def test_a_chunked_upload_is_refused_while_it_comes(api: RunningApi, north: httpx.Client) -> None:
    # read to its end, the body would be refused as too large
    check_reached(north.post("/v1/uploads", content=chunked(2_000_000)), "bytes", 50_000)
    check_reached(north.post("/v1/uploads", content=chunked(60_000)), "bytes", 50_000)
    assert api.files() == []
    assert north.post("/v1/uploads", content=chunked(40_000)).status_code == 201


def test_a_chunked_form_of_a_job_is_refused_while_it_comes(api: RunningApi, north: httpx.Client) -> None:
    def form(images: int) -> Iterator[bytes]:
        for _ in range(images):
            yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
            yield from chunked(200_000)
            yield b"\r\n"
        yield b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nliver\r\n'

    kind = {"content-type": "multipart/form-data; boundary=x"}
    # the form does not end: read to its end, it would be refused as incomplete
    check_reached(north.post("/v1/jobs", content=form(10), headers=kind), "bytes", 50_000)
    assert north.post("/v1/jobs", content=form(1), headers=kind).json()["code"] == "body_incomplete"
    assert api.files() == []


def test_an_upload_that_a_job_uses_counts_once(api: RunningApi, north: httpx.Client) -> None:
    upload = uploaded(north, 30_000)
    job = by_upload(north, upload).json()["id"]
    check_reached(north.post("/v1/uploads", content=os.urandom(21_000)), "bytes", 50_000)
    uploaded(north, 19_000)
    finish(api, job, failed(0))
    uploaded(north, 29_000)
    check_reached(north.post("/v1/uploads", content=os.urandom(3000)), "bytes", 50_000)


def test_an_upload_of_a_refused_job_counts_as_before(api: RunningApi, north: httpx.Client) -> None:
    upload = uploaded(north, 30_000)
    for _ in range(4):
        accepted(north)
    check_reached(by_upload(north, upload), "jobs", 4)
    check_reached(north.post("/v1/uploads", content=os.urandom(21_000)), "bytes", 50_000)
    check_reached(by_upload(north, upload, *[uploaded(north, 100) for _ in range(12)]), "jobs", 4)
    check_reached(north.post("/v1/uploads", content=os.urandom(19_000)), "bytes", 50_000)


def test_a_removed_upload_counts_no_more(api: RunningApi, north: httpx.Client) -> None:
    upload = uploaded(north, 45_000)
    check_reached(north.post("/v1/uploads", content=os.urandom(9000)), "bytes", 50_000)
    aged(api, keys.upload("north", upload))
    assert expire_uploads(parts_of(api), later(hours=23)) == 1
    uploaded(north, 45_000)


def test_uploads_without_a_ledger_are_taken_uncounted(tmp_path: Path) -> None:
    with running_api(tmp_path / "store", CLOSED_REDIS, tenant_bytes=1) as api, api.client("north") as north:
        assert north.post("/v1/uploads", content=chunked(250_000)).status_code == 201


def test_a_refusal_comes_before_the_body(api: RunningApi) -> None:
    parts = urlsplit(api.url)
    head = ["POST /v1/jobs HTTP/1.1", "Host: api", "Authorization: Bearer north", "Content-Length: 60000"]
    head += ["Content-Type: multipart/form-data; boundary=x", "", ""]
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as raw:
        raw.sendall("\r\n".join(head).encode())
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b'"code":"bytes_quota_reached"' in answer


def test_a_repeat_of_an_accepted_job_needs_no_room(api: RunningApi, north: httpx.Client) -> None:
    key = {"Idempotency-Key": "the-night-run"}
    job = accepted(north, headers=key)
    for _ in range(3):
        accepted(north)
    assert accepted(north, headers=key) == job
    check_reached(submit(north, b"pixels", headers={"Idempotency-Key": "another"}), "jobs", 4)


def test_requests_at_the_same_time_do_not_pass_a_quota_together(api: RunningApi) -> None:
    def one(number: int) -> int:
        with api.client("north") as client:
            return submit(client, bytes([number])).status_code

    with ThreadPoolExecutor(12) as threads:
        assert Counter(threads.map(one, range(24))) == {202: 4, 429: 20}


def test_a_job_that_was_not_accepted_takes_no_room(api: RunningApi, north: httpx.Client) -> None:
    upload = uploaded(north, 100)
    (api.folder / "live").write_bytes(b"a file where the folder of markers should be")
    for _ in range(5):
        assert by_upload(north, upload).status_code in {500, 503}
    (api.folder / "live").unlink()
    for _ in range(4):
        assert by_upload(north, upload).status_code == 202


def test_redis_lost_and_found_counts_the_same(api: RunningApi, north: httpx.Client, empty_valkey: str) -> None:
    ended, *_ = [accepted(north, os.urandom(100)) for _ in range(4)]
    finish(api, ended, failed(0))
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    reconcile(parts_of(api))
    reconcile(parts_of(api))
    accepted(north)
    check_reached(submit(north, b"pixels"), "jobs", 4)
    check_reached(submit(north, os.urandom(49_600)), "jobs", 4)


def test_the_keys_file_gives_a_tenant_quotas_of_its_own(api: RunningApi, north: httpx.Client) -> None:
    entries = [
        {"tenant": tenant, "sha256": hashlib.sha256(name.encode()).hexdigest(), "scopes": scopes}
        for name, (tenant, scopes) in KEYS.items()
    ]
    entries[0]["quotas"] = {"jobs": 1}
    Path(str(api.settings.keys_file)).write_text(json.dumps(entries))
    accepted(north)
    check_reached(submit(north, b"pixels"), "jobs", 1)
    with api.client("south") as south:
        for _ in range(4):
            accepted(south)
        check_reached(submit(south, b"pixels"), "jobs", 4)
