"""Example of the API's jobs: the state, the items and the result of a job."""

import httpx

from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.driven_jobs import driven
from tests.support.servers.apis import RunningApi


def test_a_finished_job_shows_its_items(api: RunningApi, client: httpx.Client) -> None:
    job = accepted(client, b"first picture", b"second picture")
    assert client.get(f"/v1/jobs/{job}").json()["state"] == "accepted"

    driven(api, job)

    assert client.get(f"/v1/jobs/{job}").json()["state"] == "succeeded"
    items = client.get(f"/v1/jobs/{job}/items").json()["items"]
    assert [item["state"] for item in items] == ["succeeded", "succeeded"]


def test_the_job_of_another_tenant_is_not_found(api: RunningApi, client: httpx.Client) -> None:
    job = accepted(client, b"picture")
    with api.client("south") as other:
        assert other.get(f"/v1/jobs/{job}").status_code == 404
