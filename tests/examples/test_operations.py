"""Example of the API's operations: health, and the work that an autoscaler sees."""

import httpx

from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.driven_jobs import planned
from tests.support.servers.apis import RunningApi


def test_the_service_is_ready(client: httpx.Client) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").json()["ready"] is True


def test_a_planned_frame_is_waiting_work(api: RunningApi, client: httpx.Client) -> None:
    accepted(client, b"picture")
    planned(api)

    assert client.get("/v1/scaling").json()["waiting_frames"] == 1
