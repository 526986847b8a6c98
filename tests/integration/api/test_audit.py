"""What the audit log says of requests: who did what to which job, durable before anything changed is told."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from maskrelay.admin.audit_chains import verify
from maskrelay.contract.records.audit_entries import hour_of
from maskrelay.errors import StorageUnavailable
from maskrelay.storage.audit_chain import Chain
from maskrelay.storage.file_store import FileStorage
from tests.support.checks.audits import audit_files, done, entries
from tests.support.drivers.api_jobs import (
    PROMPT,
    accepted,
    failed,
    finish,
    plan,
    settle,
    submission_of,
    submit,
    succeeded,
)
from tests.support.drivers.cleanup_passes import later, parts_of
from tests.support.servers.apis import RunningApi, running_api
from worker.cleanup.deleted_jobs import remove_gone
from worker.cleanup.expiry import expire_audit, expire_jobs

SUBMIT, DELETE, CANCEL = "POST /v1/jobs", "DELETE /v1/jobs/{job}", "POST /v1/jobs/{job}/cancel"


@pytest.fixture
def admin(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client("admin") as client:
        yield client


def test_submitting_cancelling_and_deleting_are_durable_before_the_answer(api: RunningApi, admin: httpx.Client) -> None:
    job = accepted(admin)
    (told,) = done(api.storage, SUBMIT)
    assert (told["tenant"], told["status"], told["job"]) == ("north", 202, job)
    assert told["fingerprint"] == submission_of(api, job).fingerprint
    assert told["by"].startswith("key:")
    admin.post(f"/v1/jobs/{job}/cancel")
    assert [one["job"] for one in done(api.storage, CANCEL)] == [job]
    admin.delete(f"/v1/jobs/{job}")
    assert [(one["job"], one["status"]) for one in done(api.storage, DELETE)] == [(job, 204)]


def test_uploads_are_named_by_their_ids(api: RunningApi, north: httpx.Client) -> None:
    answer = north.post("/v1/uploads", files=[("file", ("John Doe.png", b"a", "image/png"))])
    (told,) = done(api.storage, "POST /v1/uploads")
    assert told["uploads"] == [answer.json()["uploads"][0]["id"]]


def test_what_was_read_and_refused_is_there_when_the_api_has_ended(tmp_path: Path, empty_valkey: str) -> None:
    with running_api(tmp_path / "store", empty_valkey) as api, api.client() as north, api.client("south") as south:
        job = accepted(north, b"a")
        plan(api, job)
        outcome = succeeded(api, job, 0)
        settle(api, job, 1, outcome)
        finish(api, job, outcome)
        north.get(f"/v1/jobs/{job}")
        north.get(f"/v1/jobs/{job}/items")
        north.get(f"/v1/jobs/{job}/artifacts/0-0-0.mask.png")
        south.get(f"/v1/jobs/{job}/items")
        north.delete(f"/v1/jobs/{job}")
    told = [(one["tenant"], one["did"], one["status"], one["job"]) for one in entries(api.storage)]
    assert told == [
        ("north", "POST /v1/jobs", 202, job),
        ("north", "GET /v1/jobs/{job}", 200, job),
        ("north", "GET /v1/jobs/{job}/items", 200, job),
        ("north", "GET /v1/jobs/{job}/artifacts/{name}", 200, job),
        ("south", "GET /v1/jobs/{job}/items", 404, job),
        ("north", DELETE, 403, job),
    ]
    assert entries(api.storage)[3]["artifact"] == "0-0-0.mask.png"
    assert verify(api.storage, "2000-01-01T00").unclosed == []


def test_nothing_that_a_caller_wrote_is_in_it(tmp_path: Path, empty_valkey: str) -> None:
    with running_api(tmp_path / "store", empty_valkey) as api, api.client() as north:
        options = {"metadata": {"patient": "John"}}
        job = submit(north, b"a", prompts=[PROMPT], options=options, headers={"Idempotency-Key": "John"}).json()["id"]
        north.get(f"/v1/jobs/{job}/artifacts/John.png")
        north.get("/v1/jobs/John")
        north.get("/v1/jobs?cursor=John")
        north.post("/v1/jobs", content=b"John", headers={"content-type": "text/John"})
    assert len(entries(api.storage)) == 5
    for key in audit_files(api.storage):
        body = api.storage.get(key)
        assert not any(word in body for word in (b"John", b"disc", b"eye 0", b"Bearer"))


def test_strangers_and_probes_leave_nothing(api: RunningApi) -> None:
    httpx.get(api.url + "/v1/jobs", headers={"authorization": "Bearer none"}, trust_env=False)
    httpx.get(api.url + "/livez", trust_env=False)
    with api.client() as north:
        north.get("/nowhere/John")
        accepted(north)
    assert [one["did"] for one in entries(api.storage)] == [SUBMIT]


def test_a_deletion_stands_where_the_audit_log_cannot_be_written_and_is_told_later(
    api: RunningApi, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = accepted(admin)
    create = FileStorage.create

    def refusing(storage: FileStorage, key: str, body: bytes, content_type: str = "") -> None:
        if key.startswith("audit/"):
            raise StorageUnavailable("away", reason="away")
        create(storage, key, body, content_type)

    monkeypatch.setattr(FileStorage, "create", refusing)
    assert admin.delete(f"/v1/jobs/{job}").status_code == 204
    assert done(api.storage, DELETE) == []
    monkeypatch.setattr(FileStorage, "create", create)
    accepted(admin)
    assert [one["job"] for one in done(api.storage, DELETE)] == [job]


def test_expiry_and_removal_are_audited_too(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"a")
    plan(api, job)
    settle(api, job, 1, failed(0))
    finish(api, job, failed(0))
    parts = parts_of(api)
    with closing(parts.audit):
        expire_jobs(parts, later(days=31))
        for hours in (0, 1):
            remove_gone(parts, later(hours=hours))
    for did in ("expired", "removed"):
        assert [(one["tenant"], one["job"], "by" in one) for one in done(api.storage, did)] == [("north", job, False)]


def test_files_past_their_time_go_and_what_is_left_is_whole(api: RunningApi) -> None:
    now = datetime.now(UTC)
    chain = Chain(api.storage, "api")
    for hours in (2, 1, 0):
        chain.write(chain.next(hour_of(now - timedelta(hours=hours)), [], closed=True, lost=0))
    assert expire_audit(parts_of(api), now + timedelta(days=3650, hours=-2)) == 0
    assert expire_audit(parts_of(api), now + timedelta(days=3650)) == 2
    assert verify(api.storage, hour_of(now)).files == 1
