"""Trouble by switch and by script: shares, slow bodies, restarts, capacity, bandwidth, and what the counters say."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import simulator
from tests.support.servers.simulators import (
    RunningSimulator,
    canvas_png,
    eventually,
    running_simulator,
    score_body,
)

pytestmark = pytest.mark.slow_subject("simulator")

IMAGE = base64.b64encode(canvas_png()).decode()
HOUR = Path(simulator.__file__).parent / "scripts" / "hour_of_trouble.json"
EMPTY = score_body(data=[])


@pytest.fixture(params=[False, True], ids=["segmenting", "canned"])
def canned(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def started(canned: bool, **switches: Any) -> Any:
    return running_simulator(**switches, **({"canned": True} if canned else {}))


def statuses(endpoint: RunningSimulator, times: int) -> list[int]:
    return [endpoint.post(EMPTY).status_code for _ in range(times)]


def test_a_fault_can_strike_a_share_of_requests_and_the_same_ones_for_the_same_seed() -> None:
    seen = []
    for _ in range(2):
        with started(canned=True, seed=7) as endpoint:
            endpoint.set(fail={"status": 503, "rate": 0.3})
            seen.append(statuses(endpoint, 60))
            assert endpoint.counters()["refused"] == {"fault": seen[-1].count(503)}
    assert seen[0] == seen[1]
    assert 5 < seen[0].count(503) < 35


@pytest.mark.parametrize(("kind", "words"), [("pending", "too many pending"), ("rate", "rate-limited")])
def test_both_kinds_of_429_can_be_asked_for(canned: bool, kind: str, words: str) -> None:
    with started(canned) as endpoint:
        endpoint.set(fail={"status": 429, "kind": kind, "retry_after": 3})
        answer = endpoint.post(EMPTY)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert words in answer.text.lower()


def test_after_a_408_that_was_asked_for_the_container_works_all_the_same(canned: bool) -> None:
    with started(canned) as endpoint:
        endpoint.set(fail={"status": 408, "times": 1})
        assert endpoint.post(score_body()).status_code == 408
        assert eventually(lambda: endpoint.counters()["rows"] == 1)


def test_a_slow_body_is_whole_and_takes_its_time(canned: bool) -> None:
    with started(canned) as endpoint:
        endpoint.set(fail={"status": "slow", "seconds": 0.5, "times": 1})
        answer = endpoint.post(score_body())
    assert len(answer.json()) == 1
    assert answer.elapsed.total_seconds() >= 0.4


def test_a_restart_resets_what_waits_and_loses_its_work(canned: bool) -> None:
    with started(canned, service_time=30) as endpoint, ThreadPoolExecutor(2) as callers:
        waiting = [callers.submit(endpoint.post, score_body()) for _ in range(2)]
        assert eventually(lambda: endpoint.counters()["pending"] == 2)
        endpoint.set(restart=True, fail={"status": 503}, service_time=0)
        for caller in waiting:
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                caller.result()
        assert endpoint.post(EMPTY).status_code == 503
        endpoint.set(fail=None)
        assert endpoint.post(score_body()).status_code == 200
        counters = endpoint.counters()
    assert (counters["rows"], counters["pending"], counters["in_flight"]) == (1, 0, 0)
    assert counters["answers"] == {"reset": 2, "503": 1, "200": 1}


def test_capacity_can_grow_and_shrink_while_requests_wait(canned: bool) -> None:
    with started(canned, service_time=30, instances=2) as endpoint, ThreadPoolExecutor(4) as callers:
        waiting = [callers.submit(endpoint.post, score_body()) for _ in range(4)]
        assert eventually(lambda: endpoint.counters()["pending"] == 4)
        assert endpoint.counters()["in_flight"] == 2
        endpoint.set(max_concurrent=2)
        assert eventually(lambda: endpoint.counters()["in_flight"] == 4)
        assert endpoint.counters()["capacity"] == 4
        endpoint.set(instances="initial", max_concurrent=1)
        assert endpoint.post(EMPTY).status_code == 429
        endpoint.set(restart=True, service_time=0)
        for caller in waiting:
            with pytest.raises(httpx.HTTPError):
                caller.result()
        assert endpoint.post(EMPTY).status_code == 200
        assert endpoint.counters()["capacity"] == 2


def test_two_readings_give_the_share_of_capacity_between_them() -> None:
    with started(canned=True, service_time=0.2, max_concurrent=2) as endpoint, ThreadPoolExecutor(4) as callers:
        before = endpoint.counters()
        list(callers.map(lambda _: endpoint.post(score_body()), range(8)))
        after = endpoint.counters()
    busy = after["busy_seconds"] - before["busy_seconds"]
    assert busy == pytest.approx(8 * 0.2, abs=1e-3)
    assert after["capacity_seconds"] - before["capacity_seconds"] == pytest.approx(
        2 * (after["clock"] - before["clock"]), abs=1e-3
    )


def test_a_reset_of_the_counters_leaves_work_under_way() -> None:
    with started(canned=True, service_time=30) as endpoint, ThreadPoolExecutor(1) as callers:
        waiting = callers.submit(endpoint.post, score_body())
        assert eventually(lambda: endpoint.counters()["in_flight"] == 1)
        endpoint.set(reset=True)
        counters = endpoint.counters()
        assert (counters["scores"], counters["in_flight"], counters["max_in_flight"]) == (0, 1, 1)
        assert (counters["bytes_in"], counters["max_rate"], counters["answers"]) == (0, 0, {})
        assert counters["busy_seconds"] <= counters["clock"]
        endpoint.set(restart=True)
        with pytest.raises(httpx.HTTPError):
            waiting.result()


def test_the_cap_delays_both_ways_and_refuses_nothing(canned: bool) -> None:
    with started(canned, bandwidth=4_000_000) as endpoint, ThreadPoolExecutor(2) as callers:
        before = endpoint.counters()
        answers = list(callers.map(lambda _: endpoint.post(score_body()), range(4)))
        counters = endpoint.counters()
    assert [answer.status_code for answer in answers] == [200] * 4
    carried = counters["bytes_in"] + counters["bytes_out"]
    assert carried == sum(len(answer.request.content) + len(answer.content) for answer in answers)
    assert counters["delay_seconds"] > 0
    assert carried / (counters["clock"] - before["clock"]) <= 1.1 * 4_000_000


def test_the_cap_slows_a_request_before_it_is_worked_on() -> None:
    with started(canned=True, bandwidth=10_000) as endpoint, ThreadPoolExecutor(1) as callers:
        waiting = callers.submit(endpoint.post, content=b" " * 8_000_000)
        assert eventually(lambda: endpoint.counters()["bytes_in"] > 0)
        assert endpoint.counters()["pending"] == 0
        endpoint.set(bandwidth=None)
        assert waiting.result().status_code == 424
        assert endpoint.counters()["bytes_in"] == 8_000_000


def test_rate_and_bytes_have_their_maxima() -> None:
    with started(canned=True) as endpoint, ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda _: endpoint.post(score_body()), range(12)))
        counters = endpoint.counters()
    carried = sum(len(answer.request.content) + len(answer.content) for answer in answers)
    assert 1 <= counters["max_rate"] <= 12
    assert 0 < counters["max_bytes_per_s"] <= carried / 10


def test_a_script_turns_knobs_over_time(canned: bool) -> None:
    steps = [
        {"at": 0, "set": {"fail": {"status": 503}}, "note": "closed"},
        {"at": 3600, "set": {"fail": None}},
    ]
    with started(canned) as endpoint:
        endpoint.set(script=steps, speed=3600 * 2)
        assert eventually(lambda: endpoint.post(EMPTY).status_code == 503 or left(endpoint) == 0)
        assert eventually(lambda: endpoint.post(EMPTY).status_code == 200)
        assert left(endpoint) == 0


def left(endpoint: RunningSimulator) -> int:
    return int(endpoint.counters()["script_steps_left"])


def test_a_script_can_be_ended_and_given_at_start(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"at": 0, "set": {"traffic": False}}, {"at": 9000}]))
    with started(canned=True, script=script) as endpoint:
        assert eventually(lambda: endpoint.post(EMPTY).status_code == 404)
        assert left(endpoint) == 1
        endpoint.set(script=None, traffic="initial")
        assert (left(endpoint), endpoint.post(EMPTY).status_code) == (0, 200)


def test_the_hour_of_trouble_runs_to_its_end_and_leaves_the_endpoint_as_it_was() -> None:
    steps = json.loads(HOUR.read_text())
    assert steps[-1]["at"] == 3600
    with started(canned=True, max_concurrent=8, bandwidth=50_000_000) as endpoint:
        before = endpoint.counters()
        endpoint.set(script=steps, speed=600)
        seen = set()
        while left(endpoint):
            try:
                seen.add(endpoint.post(EMPTY).status_code)
            except httpx.HTTPError:  # by the restart
                seen.add(0)
        assert {424, 500} <= seen <= {0, 200, 404, 424, 429, 500, 503}
        assert endpoint.post(score_body()).status_code == 200
        assert endpoint.counters()["capacity"] == before["capacity"] == 8


WRONG: list[dict[str, Any]] = [
    {"script": [{"at": 0, "set": {"colour": "red"}}]},
    {"script": [{"set": {}}]},
    {"script": [{"at": 0, "then": 1}]},
    {"script": [], "speed": 0},
    {"service_time": -1},
    {"service_time": True},
    {"max_concurrent": 0},
    {"bandwidth": 0},
    {"traffic": 1},
    {"reset": False},
    {"key": ""},
    {"entra_token": "of another mode"},
    {"fail": {"status": 503, "rate": 0}},
    {"fail": {"status": 503, "kind": "rate"}},
    {"fail": {"status": "slow"}},
    {"fail": {"status": 503}, "colour": "red"},
]


@pytest.fixture(scope="module")
def steady() -> Any:
    with started(canned=True) as endpoint:
        yield endpoint


@pytest.mark.parametrize("wanted", WRONG, ids=json.dumps)
def test_a_wrong_wish_is_refused_and_changes_nothing(steady: RunningSimulator, wanted: dict[str, Any]) -> None:
    assert httpx.post(f"{steady.base}/_simulator", json=wanted).status_code == 400
    assert steady.post(EMPTY).status_code == 200
