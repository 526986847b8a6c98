"""Example of the API's submissions: a job is accepted once, however often it is sent, and bad options are refused."""

import httpx

from maskrelay.contract.records import keys
from tests.support.drivers.api_jobs import submit
from tests.support.servers.apis import RunningApi


def test_a_repeated_submission_is_the_same_job(api: RunningApi, client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "study-17"}
    first = submit(client, b"picture", prompts=["optic disc"], headers=headers)
    second = submit(client, b"picture", prompts=["optic disc"], headers=headers)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    assert keys.accepted(first.json()["id"]) in api.objects("jobs/")


def test_an_unknown_option_is_refused_with_its_place(client: httpx.Client) -> None:
    answer = submit(client, b"picture", options={"colour": "red"})

    assert answer.status_code == 422
    assert answer.json()["code"] == "option_unknown"
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/options/colour"]
