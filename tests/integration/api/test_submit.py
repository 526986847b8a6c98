"""Submitting: what is accepted, and what it leaves in storage and ledger."""

import base64
import hashlib
import time

import httpx
import pytest
import redis
from standardwebhooks import Webhook

from maskrelay.callbacks.sealing import unseal
from maskrelay.contract.records import keys
from tests.support.drivers.api_jobs import (
    PROMPT,
    accepted,
    failed,
    finish,
    items_of,
    submission_of,
    submit,
)
from tests.support.servers.apis import SERVER_KEY, RunningApi

SECRET = "whsec_" + base64.b64encode(b"a secret of the caller's own").decode()
HOOK = "http://127.0.0.1:9/hook"


def test_a_form_becomes_a_job_that_is_answered_with_202_and_its_place(north: httpx.Client) -> None:
    answer = submit(north, b"one", b"two", prompts=[PROMPT, "optic cup"], options={"metadata": {"study": 7}})
    shown = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == answer.headers["operation-location"] == shown["links"]["self"]
    assert shown["links"]["self"] == str(north.base_url.join(f"/v1/jobs/{shown['id']}"))
    assert int(answer.headers["retry-after"]) >= 1
    assert (shown["state"], shown["planned"], shown["metadata"]) == ("accepted", False, {"study": 7})
    assert shown["counts"] == {"total": 2, "succeeded": 0, "partial": 0, "failed": 0, "cancelled": 0}
    assert "result" not in shown["links"]
    assert "callback" not in shown
    assert "error" not in shown


def test_acceptance_leaves_submission_marker_uploads_and_their_uses(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"one", b"two", prompts=[f"  {PROMPT} ", "optic cup"])
    submission = submission_of(api, job)
    assert (submission.tenant, submission.total, submission.lane) == ("north", 2, "interactive")
    assert submission.outputs == ()
    assert [item.prompts for item in submission.items] == [(PROMPT, "optic cup")] * 2
    assert [item.custom_id for item in submission.items] == ["0", "1"]
    assert [item.source_name for item in submission.items] == ["eye 0.png", "eye 1.png"]
    for item, body in zip(submission.items, (b"one", b"two"), strict=True):
        assert api.storage.get(item.source) == body
        assert (item.size, item.sha256) == (3, hashlib.sha256(body).hexdigest())
        assert api.storage.get(keys.upload_use(item.source, job)) == b""
    assert api.objects("live/") == [keys.live(job)]
    assert not any("eye" in key for key in api.objects())


def test_acceptance_records_the_job_and_wakes_a_planner(api: RunningApi, north: httpx.Client, api_valkey: str) -> None:
    job = accepted(north)
    record = api.ledger.jobs.get(job)
    assert record is not None
    assert (record.tenant, record.state, record.total) == ("north", "accepted", 1)
    assert record.created_at == submission_of(api, job).created_at
    with redis.Redis.from_url(api_valkey) as client:
        assert client.llen("plan") == 1
    lease = api.ledger.step_leases.take("plan")
    assert lease is not None
    assert lease.job == job


def test_uploads_are_named_by_id_with_prompts_and_custom_ids_of_their_own(api: RunningApi, north: httpx.Client) -> None:
    raw = north.post("/v1/uploads", content=b"raw pixels", headers={"content-type": "image/png"})
    form = north.post("/v1/uploads", files=[("image", ("a.png", b"A")), ("image", ("b.png", b"B"))])
    assert (raw.status_code, form.status_code) == (201, 201)
    first, *others = raw.json()["uploads"] + form.json()["uploads"]
    assert (first["size"], first["sha256"]) == (10, hashlib.sha256(b"raw pixels").hexdigest())
    items = [{"upload": first["id"]}, {"upload": others[0]["id"], "custom_id": "left", "prompts": ["optic cup"]}]
    items.append({"upload": others[1]["id"]})
    answer = north.post("/v1/jobs", json={"items": items, "prompts": [PROMPT], "options": {"outputs": ["probability"]}})
    assert answer.status_code == 202
    submission = submission_of(api, answer.json()["id"])
    assert [item.custom_id for item in submission.items] == ["0", "left", "2"]
    assert [item.prompts for item in submission.items] == [(PROMPT,), ("optic cup",), (PROMPT,)]
    assert [item.source_name for item in submission.items] == [None, "a.png", "b.png"]
    assert [api.storage.get(item.source) for item in submission.items] == [b"raw pixels", b"A", b"B"]
    assert submission.outputs == ("probability",)


def test_many_items_lie_beside_the_submission_and_go_to_the_bulk_lane(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, *(b"%d" % number for number in range(25)))
    submission = submission_of(api, job)
    assert (submission.items, submission.total, submission.lane) == ((), 25, "bulk")
    items = items_of(api, job)
    assert [item.custom_id for item in items] == [str(number) for number in range(25)]
    assert [api.storage.get(item.source) for item in items] == [b"%d" % number for number in range(25)]


def test_a_given_callback_secret_is_kept_sealed_and_never_shown(api: RunningApi, north: httpx.Client) -> None:
    answer = submit(north, b"one", options={"callback": {"url": HOOK, "secret": SECRET, "events": ["job.failed"]}})
    assert answer.json()["callback"] == {"url": HOOK, "events": ["job.failed"]}
    target = submission_of(api, answer.json()["id"]).callback
    assert target is not None
    assert target.sealed is not None
    assert unseal(SERVER_KEY.encode(), target.sealed, answer.json()["id"]) == SECRET
    assert not any(SECRET.encode() in path.read_bytes() for path in api.files())


def test_a_generated_callback_secret_is_shown_to_the_submitter_only(api: RunningApi, north: httpx.Client) -> None:
    answer = submit(north, b"one", options={"callback": {"url": HOOK}})
    job, callback = answer.json()["id"], answer.json()["callback"]
    assert callback["events"] == ["job.succeeded", "job.partial", "job.failed", "job.cancelled"]
    Webhook(callback["secret"])  # it is one that Standard Webhooks can use
    assert "secret" not in north.get(f"/v1/jobs/{job}").json()["callback"]
    assert not any(callback["secret"].encode() in path.read_bytes() for path in api.files())


def test_the_callers_trace_goes_with_the_job(api: RunningApi, north: httpx.Client) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert submission_of(api, accepted(north, headers={"traceparent": trace})).traceparent == trace
    assert submission_of(api, accepted(north, headers={"traceparent": "not a trace"})).traceparent is None


def test_waiting_answers_the_unfinished_job_when_the_time_is_over(north: httpx.Client) -> None:
    answer = submit(north, b"one", headers={"Prefer": "respond-async, wait=1"})
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert answer.headers["preference-applied"] == "wait=1"


def test_a_finished_job_is_answered_with_200_under_its_key_again(api: RunningApi, north: httpx.Client) -> None:
    headers = {"Idempotency-Key": "night-1"}
    job = accepted(north, headers=headers)
    finish(api, job, failed(0))
    began = time.monotonic()
    again = submit(north, b"pixels", headers={**headers, "Prefer": "wait=60"})
    assert (again.status_code, again.json()["id"], again.json()["state"]) == (200, job, "failed")
    assert time.monotonic() - began < 30
    assert again.json()["links"]["result"].endswith(f"/v1/jobs/{job}/artifacts/result.json")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("C:\\patients\\Müller.png", "Müller.png"),
        ("../../etc/passwd", "etc/passwd"),
        ("a\u202eb.png", "ab.png"),
        ('quote".png', "quote%22.png"),
    ],
)
def test_a_file_name_is_kept_without_a_way_out_and_control_characters(
    api: RunningApi, north: httpx.Client, sent: str, kept: str
) -> None:
    answer = north.post("/v1/jobs", files={"image": (sent, b"x")}, data={"prompt": PROMPT})
    assert submission_of(api, answer.json()["id"]).items[0].source_name == kept
