"""Secrets that change while jobs are under way: two sign until everybody has moved over."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from maskrelay.callbacks.signature import derive_secret
from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.drivers.api_jobs import (
    PROMPT,
    accepted,
    failed,
    finish,
    submission_of,
    submit,
)
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.sending import send_due
from tests.support.servers.apis import SERVER_KEY, RunningApi, running_api
from tests.support.servers.receivers import Received, receiver, status
from worker.context.job_records.conclusion import conclude

OLD, NEW = (derive_secret(SERVER_KEY.encode(), word) for word in ("old", "new"))
NEXT_SERVER_KEY = "another server key of the tests, long enough"


def verifies(got: Received, secret: str) -> bool:
    """Whether an independent receiver that knows this secret alone takes the callback."""
    try:
        return bool(Webhook(secret).verify(got.body, got.headers) == json.loads(got.body))
    except WebhookVerificationError:
        return False


def told(api: RunningApi, job: str) -> None:
    """Let the job end, and its event be sent."""
    conclude(parts_of(api), submission_of(api, job), finish(api, job, failed(0), known=False))
    send_due(api)


@contextmanager
def changed(folder: Path, valkey: str, *, before: str | None, **more: Any) -> Iterator[RunningApi]:
    """The service over the same store and ledger under the next server key."""
    with running_api(folder, valkey, server_key=NEXT_SERVER_KEY, server_key_before=before, **more) as api:
        yield api


@pytest.mark.parametrize(("asked", "known"), [([NEW, OLD], {NEW, OLD}), ([NEW], {NEW}), (OLD, {OLD})])
def test_each_secret_that_a_caller_gives_signs_and_no_other(
    api: RunningApi, north: httpx.Client, asked: object, known: set[str]
) -> None:
    with receiver(status(200)) as hook:
        told(api, accepted(north, options={"callback": {"url": hook.url(), "secret": asked}}))
    (got,) = hook.received
    assert {secret for secret in (OLD, NEW) if verifies(got, secret)} == known
    assert len(got.headers["webhook-signature"].split(" ")) == len(known)


@pytest.mark.parametrize("secret", [None, OLD])
def test_a_job_of_before_is_told_after_the_server_key_was_changed(
    tmp_path: Path, empty_valkey: str, secret: str | None
) -> None:
    with receiver(status(200)) as hook:
        with running_api(tmp_path / "store", empty_valkey) as api, api.client() as north:
            answer = submit(north, b"a", options={"callback": {"url": hook.url(), "secret": secret}}).json()
        with changed(tmp_path / "store", empty_valkey, before=SERVER_KEY) as api:
            told(api, answer["id"])
    (got,) = hook.received
    assert verifies(got, secret or answer["callback"]["secret"])
    assert verifies(got, derive_secret(NEXT_SERVER_KEY.encode(), answer["id"])) == (secret is None)


def test_a_repeat_finds_its_job_after_the_server_key_was_changed(tmp_path: Path, empty_valkey: str) -> None:
    again = {"headers": {"Idempotency-Key": "night"}}
    with running_api(tmp_path / "store", empty_valkey) as api, api.client() as north, api.client("admin") as admin:
        job, deleted = accepted(north, **again), accepted(north, headers={"Idempotency-Key": "gone"})
        admin.delete(f"/v1/jobs/{deleted}")
    with changed(tmp_path / "store", empty_valkey, before=SERVER_KEY) as api, api.client() as north:
        assert accepted(north, **again) == job
        assert submit(north, b"pixels", headers={"Idempotency-Key": "gone"}).status_code == 410
        other = {"headers": {"Idempotency-Key": "day"}}
        assert accepted(north, **other) == accepted(north, **other)


def test_a_repeat_finds_its_watch_after_the_server_key_was_changed(tmp_path: Path, empty_valkey: str) -> None:
    (data := tmp_path / "data").mkdir()
    credentials = {"credentials_file": str(write_credentials(tmp_path / "c.json", folder_credential(data)))}
    body = {"source": f"{data.as_uri()}/", "prompts": [PROMPT]}

    def asked(api: RunningApi, key: str) -> str:
        with api.client() as north:
            answer = north.post("/v1/watches", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    with running_api(tmp_path / "store", empty_valkey, **credentials) as api:
        watch = asked(api, "night")
    with changed(tmp_path / "store", empty_valkey, before=SERVER_KEY, **credentials) as api:
        assert asked(api, "night") == watch
        assert asked(api, "day") == asked(api, "day") != watch


def test_without_the_key_of_before_a_sealed_secret_stays_closed_and_nothing_is_sent(
    tmp_path: Path, empty_valkey: str
) -> None:
    with receiver(status(200)) as hook:
        with running_api(tmp_path / "store", empty_valkey) as api, api.client() as north:
            job = accepted(north, options={"callback": {"url": hook.url(), "secret": OLD}})
        with changed(tmp_path / "store", empty_valkey, before=None) as api:
            told(api, job)
    assert hook.received == []
