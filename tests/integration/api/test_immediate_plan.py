"""A job of one plain image whose caller waits is planned when it is accepted, as the plan step would plan it."""

import hashlib
import hmac
from pathlib import Path

import httpx

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Frames
from tests.support.drivers.api_jobs import accepted, submission_of
from tests.support.drivers.driven_jobs import planned
from tests.support.servers.apis import RunningApi

WAIT = {"prefer": "wait=1"}


def parts(api: RunningApi, job: str) -> dict[str, bytes]:
    """The objects of the plan."""
    found = [*api.storage.list(keys.frames(job)), *api.storage.list(keys.item_parts(job))]
    return {key: api.storage.get(key) for key in found}


def test_the_frame_can_be_claimed_when_the_job_is_accepted(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, headers=WAIT)
    record = api.ledger.jobs.get(job)
    assert record is not None
    assert (record.state, record.planned, record.frame_parts, record.total) == ("running", True, 1, 1)
    assert record.frames == Frames(planned=1, waiting=1)
    assert record.started_at is not None
    assert (api.ledger.wake_ups.work("plan"), api.ledger.wake_ups.work("segment")) == (0, 1)


def test_the_stored_plan_is_that_of_the_plan_step(api: RunningApi, north: httpx.Client) -> None:
    options = {"outputs": ["overlay", "mask"], "square_pixels": True, "metadata": {"study": 7}}
    job = accepted(north, b"pixels", prompts=("tumor", "edge"), options=options, headers=WAIT)
    stored = parts(api, job)
    assert len(stored) == 2
    for key in stored:
        api.storage.delete(key)
    assert api.ledger.jobs.forget(job, "north")
    submission = submission_of(api, job)
    assert api.ledger.jobs.create(job, "north", submission.lane, submission.total, submission.created_at)
    planned(api)
    assert parts(api, job) == stored


def test_without_a_waiting_caller_the_plan_step_plans(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north)
    assert parts(api, job) == {}
    assert (api.ledger.wake_ups.work("plan"), api.ledger.wake_ups.work("segment")) == (1, 0)


def test_a_repeated_request_leaves_the_plan_as_it_is(api: RunningApi, north: httpx.Client) -> None:
    headers = {**WAIT, "idempotency-key": '"one"'}
    job = accepted(north, headers=headers)
    stored, files = parts(api, job), len(api.files())
    assert accepted(north, headers=headers) == job
    assert (parts(api, job), len(api.files())) == (stored, files)


def test_a_plan_that_cannot_be_stored_is_left_to_the_plan_step(api: RunningApi, north: httpx.Client) -> None:
    meaning = b"north\0one"
    job = keys.id_of_bytes(hmac.digest(api.settings.server_keys[0], meaning, hashlib.sha256))
    in_the_way = Path(api.folder / keys.frame_part(job, 0) / "something else")
    in_the_way.parent.mkdir(parents=True)
    in_the_way.touch()
    assert accepted(north, headers={**WAIT, "idempotency-key": '"one"'}) == job
    record = api.ledger.jobs.get(job)
    assert record is not None
    assert (record.state, record.planned) == ("accepted", False)
    assert api.ledger.wake_ups.work("plan") == 1
