"""What the API says of the endpoints, and jobs that are pinned to one."""

from datetime import timedelta

import httpx
import pytest

from maskrelay.client.cli import main
from maskrelay.endpoints import Endpoint
from maskrelay.rules.endpoint_gate import Report
from tests.support.drivers.api_jobs import submission_of, submit
from tests.support.servers.apis import RunningApi

SECRET = "a-key-that-nobody-sees"
POOL = (
    Endpoint(name="west", url="http://10.1.2.3/score", key=SECRET, max_in_flight=8, concurrency=4, weight=2),
    Endpoint(name="souths-own", url="http://10.1.2.4/score", key=SECRET, tenants=("south",)),
)


@pytest.fixture
def pool(api: RunningApi) -> RunningApi:
    """Workers use two endpoints, and one score is under way at the first."""
    api.ledger.endpoints.announce(POOL)
    flow = api.ledger.flow(POOL, slot_lease=timedelta(minutes=1))
    flow.fresh("west")
    assert flow.admit("bulk", "waiter", "slot", among=["west"], bytes_up=1000, prompts=1, child="c").granted
    return api


def test_a_tenant_sees_the_flow_of_the_endpoints_it_may_use(pool: RunningApi, north: httpx.Client) -> None:
    answer = north.get("/v1/endpoints")
    assert answer.status_code == 200
    (west,) = answer.json()["endpoints"]
    assert (west["name"], west["gate"], west["weight"]) == ("west", "open", 2)
    assert (west["limit"], west["max_in_flight"], west["in_flight"]) == (4, 8, 1)
    assert west["waiting"] == {"interactive": 0, "bulk": 0}
    assert west["errors"] == {}
    assert SECRET not in answer.text
    assert "10.1.2" not in answer.text
    with pool.client("south") as south:
        assert [one["name"] for one in south.get("/v1/endpoints").json()["endpoints"]] == ["souths-own"]


def test_a_closed_gate_is_shown_with_its_reason_and_errors(pool: RunningApi, north: httpx.Client) -> None:
    flow = pool.ledger.flow(POOL, slot_lease=timedelta(minutes=1))
    flow.report("west", "slot", Report("denied", base=timedelta(minutes=4), reason="unauthorized"), "frame", 1.0)
    (west,) = north.get("/v1/endpoints").json()["endpoints"]
    assert (west["gate"], west["reason"], west["errors"]) == ("closed", "unauthorized", {"unauthorized": 1})
    assert 0 < west["closed_for_s"] <= 300


def test_a_job_is_pinned_to_an_endpoint_its_tenant_may_use(pool: RunningApi, north: httpx.Client) -> None:
    answer = submit(north, b"pixels", options={"endpoint": "west"})
    assert answer.status_code == 202
    assert submission_of(pool, answer.json()["id"]).endpoint == "west"


@pytest.mark.parametrize("name", ["souths-own", "nobody", "No Name", 7])
def test_a_pin_to_any_other_is_refused_and_nothing_is_kept(pool: RunningApi, north: httpx.Client, name: object) -> None:
    answer = submit(north, b"pixels", options={"endpoint": name})
    assert (answer.status_code, answer.json()["code"]) == (422, "option_invalid")
    assert answer.json()["errors"][0]["pointer"] == "#/options/endpoint"
    assert not pool.objects("live/", "jobs/")


def test_the_command_prints_a_line_an_endpoint(
    pool: RunningApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MASKRELAY_URL", pool.url)
    monkeypatch.setenv("MASKRELAY_API_KEY", "north")
    assert main(["endpoints"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "endpoint"
    assert line.split()[:5] == ["west", "open", "1", "4", "8"]


def test_a_pin_is_refused_for_now_while_no_endpoint_is_announced_yet(api: RunningApi, north: httpx.Client) -> None:
    answer = submit(north, b"pixels", options={"endpoint": "west"})
    assert (answer.status_code, answer.json()["code"]) == (503, "endpoints_unknown")
    assert answer.json()["retryable"] is True
    assert "retry-after" in answer.headers
    api.ledger.endpoints.announce(POOL)
    assert submit(north, b"pixels", options={"endpoint": "west"}).status_code == 202
