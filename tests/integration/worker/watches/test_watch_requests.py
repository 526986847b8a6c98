"""Requests that add, list, notify and remove watches, and the options that reach their jobs."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from maskrelay.callbacks.sealing import unseal
from tests.integration.worker.watches.watch_calls import PROMPT, SECRET, add, jobs_of, looked, series, until
from tests.support.drivers.api_jobs import submission_of
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.servers.apis import SERVER_KEY, RunningApi


def test_options_reach_the_jobs_and_a_callback_secret_is_sealed_for_each(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    callback = {"url": "http://127.0.0.1:9/", "secret": SECRET}
    add(client, data, options={"outputs": ["mask"], "metadata": {"study": 5}, "callback": callback})
    series(data, "one")
    until(lambda: len(jobs_of(api)) == 1, api)
    [job] = jobs_of(api)
    submission = submission_of(api, job)
    assert (submission.outputs, submission.metadata, submission.lane) == (("mask",), {"study": 5}, "interactive")
    assert submission.callback is not None
    assert submission.callback.sealed is not None
    assert unseal(SERVER_KEY.encode(), submission.callback.sealed, job) == SECRET


def test_watches_are_listed_and_removed_by_their_tenant_alone(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    watch = add(client, data, pattern="*.dcm")
    listed = client.get("/v1/watches").json()["watches"]
    assert listed == [watch]
    with api.client("south") as other:
        assert other.get("/v1/watches").json() == {"watches": []}
        assert other.post(watch["events"]).status_code == 404
        assert other.delete(f"/v1/watches/{watch['id']}").status_code == 404
    assert client.delete(f"/v1/watches/{watch['id']}").status_code == 204
    assert client.delete(f"/v1/watches/{watch['id']}").status_code == 404
    series(data, "one")
    assert looked(parts_of(api)) == 0


def test_a_repeated_request_with_an_idempotency_key_makes_one_watch(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    def asked(key: str, at: httpx.Client = client, **more: Any) -> httpx.Response:
        callback = {"url": "http://127.0.0.1:9/", "secret": SECRET}
        body = {"source": f"{data.as_uri()}/", "prompts": [PROMPT], "options": {"callback": callback}, **more}
        return at.post("/v1/watches", json=body, headers={"Idempotency-Key": key})

    first, again, other = asked("a"), asked('"a"'), asked("b")
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert other.json()["id"] != first.json()["id"]
    assert asked("a", settle_s=1).json()["id"] not in {first.json()["id"], other.json()["id"]}
    assert len(client.get("/v1/watches").json()["watches"]) == 3
    assert client.delete(f"/v1/watches/{first.json()['id']}").status_code == 204
    assert asked("a").json()["id"] == first.json()["id"]


def test_event_grid_validates_the_address(api: RunningApi, client: httpx.Client, data: Path) -> None:
    watch = add(client, data)
    kind = "Microsoft.EventGrid.SubscriptionValidationEvent"
    answer = client.post(watch["events"], json=[{"eventType": kind, "data": {"validationCode": "512d38b6"}}])
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6"})
    deep = client.post(watch["events"], content=b"[" * 40 + b"]" * 40, headers={"content-type": "application/json"})
    assert (deep.status_code, deep.json()["code"]) == (422, "nested_too_deep")


@pytest.mark.parametrize(
    ("changed", "code", "pointer"),
    [
        ({"source": "s3://other/"}, "source_not_allowed", "#/source"),
        ({"source": "file:///nowhere"}, "source_invalid", "#/source"),
        ({"source": "https://images.example/in/"}, "source_invalid", "#/source"),
        ({"credential": "unknown"}, "credential_unknown", "#/credential"),
        ({"prompts": []}, "no_prompts", "#/prompts"),
        ({"settle_s": -1}, "option_invalid", "#/settle_s"),
        ({"options": {"deadline": 60}}, "option_invalid", "#/options/deadline"),
        ({"options": {"callback": {"url": "http://127.0.0.1:9/"}}}, "option_invalid", "#/options/callback/secret"),
        ({"unknown": 1}, "option_unknown", "#/unknown"),
    ],
)
def test_a_watch_that_cannot_work_is_refused(
    client: httpx.Client, data: Path, changed: dict[str, Any], code: str, pointer: str
) -> None:
    asked = {"source": f"{data.as_uri()}/", "prompts": [PROMPT], **changed}
    answer = client.post("/v1/watches", json=asked)
    assert answer.status_code == 422
    problem = answer.json()
    assert (problem["code"], problem["errors"][0]["pointer"]) == (code, pointer)
