"""The number that an autoscaler asks for, over a ledger that fills and empties."""

from datetime import timedelta

import httpx
import pytest

from maskrelay.endpoints import Endpoint
from maskrelay.rules.endpoint_gate import Report
from tests.support.drivers.ledger_jobs import claimed, running_job, settle
from tests.support.servers.apis import CLOSED_REDIS, RunningApi, running_api

#: Beside it a worker of the default 8 hands: 16 frames in hand are the most that make sense, two workers.
ENDPOINT = Endpoint(name="west", url="http://10.1.2.3/score", key="k", max_in_flight=8)


def asked(api: RunningApi) -> tuple[int, int, int]:
    answer = httpx.get(f"{api.url}/v1/scaling", trust_env=False).raise_for_status().json()
    return answer["waiting_frames"], answer["workers_wanted"], answer["cap"]


@pytest.fixture
def west(api: RunningApi) -> RunningApi:
    api.ledger.endpoints.announce([ENDPOINT])
    return api


def test_without_work_no_worker_is_wanted_and_without_endpoints_one_at_most(api: RunningApi) -> None:
    assert asked(api) == (0, 0, 1)
    running_job(api.ledger, "a" * 26, 1000)
    assert asked(api) == (1000, 1, 1)


def test_while_redis_has_forgotten_the_endpoints_the_workers_that_run_are_kept(api: RunningApi) -> None:
    running_job(api.ledger, "a" * 26, 1000)
    for loop in range(3):
        api.ledger.wake_ups.running("segment", f"loop-{loop}", timedelta(minutes=1))
    assert asked(api) == (1000, 3, 3)


def test_it_follows_the_work_up_to_what_the_endpoint_can_feed_and_empties_to_zero(west: RunningApi) -> None:
    ledger, job = west.ledger, "a" * 26
    running_job(ledger, job, 20, spans=[(0, 20)])
    assert asked(west) == (20, 2, 2)
    claims = [claimed(ledger, most=12), claimed(ledger, most=12)]
    assert [claim.n for claim in claims] == [12, 8]
    assert asked(west) == (0, 2, 2)  # what is in hand still needs its workers
    settle(ledger, claims[0], 0)
    assert asked(west) == (0, 1, 2)
    settle(ledger, claims[1], 1)
    assert asked(west) == (0, 0, 2)


def test_the_cap_falls_with_the_limit_that_the_endpoint_taught(west: RunningApi) -> None:
    flow = west.ledger.flow([ENDPOINT], slot_lease=timedelta(minutes=1))
    flow.fresh("west")
    running_job(west.ledger, "a" * 26, 1000)
    assert asked(west) == (1000, 2, 2)
    admitted = flow.admit("bulk", "w", "slot", among=["west"], bytes_up=1000, prompts=1, child="c")
    assert admitted.granted
    flow.report("west", "slot", Report("busy", overload="pending", reason="throttled"), "frame", 1.0)
    assert asked(west) == (1000, 1, 1)


def test_without_a_ledger_it_says_so_and_scales_nothing(tmp_path) -> None:
    with running_api(tmp_path / "store", CLOSED_REDIS) as api:
        answer = httpx.get(f"{api.url}/v1/scaling", trust_env=False)
        assert (answer.status_code, answer.json()["code"]) == (503, "ledger_unavailable")
