"""One idempotency key, one job: repeated, contradicted, at once and after."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
import redis

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Submission
from maskrelay.ledger.job_transitions import Jobs
from maskrelay.ledger.quotas import Usage
from maskrelay.ledger.wakeups import Task
from tests.support.drivers.api_jobs import (
    PROMPT,
    accepted,
    submission_of,
    submit,
)
from tests.support.drivers.driven_jobs import finished
from tests.support.servers.apis import RunningApi

KEY = {"Idempotency-Key": '"night run 1"'}
HOOK = "http://127.0.0.1:9/hook"


def test_a_repeat_gets_the_first_answer_with_the_generated_secret(api: RunningApi, north: httpx.Client) -> None:
    first = submit(north, b"one", options={"callback": {"url": HOOK}}, headers=KEY)
    before = api.objects()
    again = submit(north, b"one", options={"callback": {"url": HOOK}}, headers={"Idempotency-Key": "night run 1"})
    assert (first.status_code, again.status_code) == (202, 202)
    timeless = [{**answer.json(), "timings": None} for answer in (again, first)]
    assert timeless[0] == timeless[1]
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["callback"]["secret"].startswith("whsec_")
    assert api.objects() == before


def test_a_repeat_is_found_with_the_ledger_empty(api: RunningApi, north: httpx.Client, api_valkey: str) -> None:
    job = accepted(north, b"one", headers=KEY)
    with redis.Redis.from_url(api_valkey) as client:
        client.flushall()
    again = submit(north, b"one", headers=KEY)
    assert (again.status_code, again.json()["id"], again.json()["state"]) == (202, job, "accepted")


@pytest.mark.parametrize(
    "other",
    [
        {"images": [b"two"]},
        {"images": [b"one", b"one"]},
        {"prompts": ["optic cup"]},
        {"options": {"outputs": ["mask"]}},
        {"options": {"metadata": {"a": 1}}},
        {"options": {"callback": {"url": HOOK}}},
    ],
    ids=str,
)
def test_another_request_under_the_key_is_refused_and_the_first_jobs_inputs_stay(
    api: RunningApi, north: httpx.Client, other: dict
) -> None:
    job = accepted(north, b"one", headers=KEY)
    before = {key: api.storage.get(key) for key in api.objects()}
    answer = submit(north, *other.pop("images", [b"one"]), headers=KEY, **other)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert {key: api.storage.get(key) for key in api.objects()} == before
    source = submission_of(api, job).items[0]
    assert hashlib.sha256(api.storage.get(source.source)).hexdigest() == hashlib.sha256(b"one").hexdigest()


def test_the_same_request_is_the_same_as_form_and_as_json(north: httpx.Client) -> None:
    job = accepted(north, b"one", headers=KEY, options={"metadata": {"a": 1, "b": 2}})
    upload = north.post("/v1/uploads", content=b"one").json()["uploads"][0]["id"]
    body = {"items": [{"upload": upload}], "prompts": [PROMPT], "options": {"metadata": {"b": 2, "a": 1}}}
    again = north.post("/v1/jobs", json=body, headers=KEY)
    assert (again.status_code, again.json()["id"]) == (202, job)


def test_at_once_with_other_bytes_one_is_accepted_and_all_others_are_refused(
    api: RunningApi, north: httpx.Client
) -> None:
    bodies = [b"%d" % number * 50_000 for number in range(6)]
    start = threading.Barrier(len(bodies))

    def send(body: bytes) -> httpx.Response:
        start.wait()
        return submit(north, body, headers=KEY)

    with ThreadPoolExecutor(len(bodies)) as hands:
        answers = list(hands.map(send, bodies))
    won = [number for number, answer in enumerate(answers) if answer.status_code == 202]
    assert len(won) == 1
    assert {answer.json()["code"] for number, answer in enumerate(answers) if number not in won} == {
        "idempotency_key_reused"
    }
    item = submission_of(api, answers[won[0]].json()["id"]).items[0]
    assert api.storage.get(item.source) == bodies[won[0]]
    assert [key for key in api.objects("uploads/") if ".used/" not in key] == [item.source]
    assert len(api.objects("live/")) == 1


def test_at_once_with_the_same_bytes_all_get_the_one_job(api: RunningApi, north: httpx.Client) -> None:
    with ThreadPoolExecutor(6) as hands:
        answers = list(hands.map(lambda _: submit(north, b"same", headers=KEY), range(6)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(api.objects("live/")) == 1


def test_while_the_first_is_still_being_accepted_a_second_waits_and_then_hears_so(
    api: RunningApi, north: httpx.Client
) -> None:
    job = accepted(north, b"one", headers=KEY)
    for key in api.objects():  # as if it had come no further than to be begun
        api.storage.delete(key)
    assert api.ledger.jobs.begin_accepting(job, "another request", timedelta(seconds=15))
    with running_twin(api) as twin, twin.client() as other:
        answer = submit(other, b"one", headers=KEY)
        assert (answer.status_code, answer.json()["code"]) == (409, "still_accepting")
        assert answer.json()["retryable"] is True
        assert int(answer.headers["retry-after"]) >= 1
        assert api.objects() == []
        api.ledger.jobs.end_accepting(job, "another request")
        assert accepted(other, b"one", headers=KEY) == job


def running_twin(api: RunningApi):
    """Another process' view: nothing is remembered of the first."""
    from tests.support.servers.apis import running_api

    return running_api(api.folder, api.settings.redis_url.get_secret_value())


def test_the_key_is_the_tenants_own(north: httpx.Client, south: httpx.Client) -> None:
    assert accepted(north, b"one", headers=KEY) != accepted(south, b"two", headers=KEY)


def test_without_a_key_the_same_request_is_another_job(north: httpx.Client) -> None:
    assert accepted(north, b"one") != accepted(north, b"one")


def test_a_key_of_a_deleted_job_answers_410(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, b"one", headers=KEY)
    api.storage.put(keys.gone(job), b'{"tenant": "north"}')
    answer = submit(north, b"one", headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")


def test_old_uploads_are_no_reason_to_refuse_a_repeat(api: RunningApi, north: httpx.Client) -> None:
    upload = north.post("/v1/uploads", content=b"one").json()["uploads"][0]["id"]
    body = {"items": [{"upload": upload}], "prompts": [PROMPT]}
    first = north.post("/v1/jobs", json=body, headers=KEY)
    facts = keys.upload("north", upload) + ".json"
    api.storage.put(facts, api.storage.get(facts).replace(b'"at":"20', b'"at":"19'))
    again = north.post("/v1/jobs", json=body, headers=KEY)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


@pytest.mark.parametrize("end", ["cancelled", "deleted"])
def test_an_end_that_comes_before_the_ledger_knows_the_job_holds(
    api: RunningApi, north: httpx.Client, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """The job is in storage, so a repeat of the request knows it. Its first request has not recorded it yet."""
    accept, ends = Jobs.accept, list[httpx.Response]()

    def after_the_end(self: Jobs, submission: Submission, **more: int) -> Task | None:
        repeated = submit(north, b"one", headers=KEY)
        assert repeated.json()["id"] == submission.id
        with api.client("admin") as admin:
            path = f"/v1/jobs/{submission.id}"
            ends.append(north.post(f"{path}/cancel") if end == "cancelled" else admin.delete(path))
        return accept(self, submission, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Jobs, "accept", after_the_end)
        answer = submit(north, b"one", headers=KEY)
    [ended] = ends
    [job] = [submission_key.split("/")[1] for submission_key in api.objects("jobs/") if "job.json" in submission_key]
    if end == "cancelled":
        assert (ended.status_code, ended.json()["state"]) == (202, "cancelling")
        assert (answer.status_code, answer.json()["state"]) == (202, "finishing")
        assert finished(api, job).state == "cancelled"
    else:
        assert (ended.status_code, answer.status_code) == (204, 410)
        assert api.ledger.jobs.get(job) is None
    assert api.ledger.step_leases.take("plan") is None
    api.ledger.quotas.check("north", Usage(jobs=1), Usage(jobs=1))
