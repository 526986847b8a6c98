"""`GET /metrics`: what the ledger holds as numbers, and nothing of any job in them."""

from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from maskrelay.endpoints import Endpoint
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.rules.endpoint_gate import Report
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.ledger_jobs import (
    claimed,
    conclude,
    running_job,
    settle,
)
from tests.support.servers.apis import CLOSED_REDIS, RunningApi, running_api
from tests.support.servers.simulators import eventually

JOB = "a" * 26
WEST = Endpoint(name="west", url="http://10.1.2.3/score", key="k", max_in_flight=8, concurrency=4)


def scraped(api: RunningApi) -> dict[str, list[tuple[Mapping[str, str], float]]]:
    answer = httpx.get(f"{api.url}/metrics", trust_env=False).raise_for_status()
    assert answer.headers["content-type"].startswith("text/plain")
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def value(api: RunningApi, name: str, **labels: str) -> float:
    """Of the one sample of `maskrelay_{name}` with these labels among its own."""
    (only,) = [number for known, number in scraped(api)[f"maskrelay_{name}"] if labels.items() <= known.items()]
    return only


def test_an_empty_ledger_has_every_number_that_needs_no_label_of_a_happening(api: RunningApi) -> None:
    seen = scraped(api)
    assert seen["maskrelay_ledger_up"] == [({}, 1)]
    assert seen["maskrelay_jobs_running"] == [({}, 0)]
    assert {labels["lane"] for labels, _ in seen["maskrelay_frames_waiting"]} == {"interactive", "bulk"}
    assert {labels["step"] for labels, _ in seen["maskrelay_steps_due"]} == {"plan", "assemble", "finish"}
    assert seen["maskrelay_frames_settled_total"] == [({"outcome": "succeeded"}, 0), ({"outcome": "failed"}, 0)]
    assert value(api, "ledger_memory_bytes") > 0
    assert value(api, "ledger_evicts") == 0


def test_what_nobody_has_done_yet_has_no_age(api: RunningApi) -> None:
    assert {"maskrelay_sweep_age_seconds", "maskrelay_reconciled_age_seconds"}.isdisjoint(scraped(api))
    api.ledger.claims.lapse()
    assert value(api, "sweep_age_seconds") < 60


def test_frames_are_followed_from_waiting_to_settled(api: RunningApi) -> None:
    ledger = api.ledger
    running_job(ledger, JOB, 20, spans=[(0, 20)])
    assert (value(api, "jobs_running"), value(api, "frames_waiting", lane="interactive")) == (1, 20)
    assert value(api, "oldest_job_age_seconds", lane="interactive") > 0
    assert value(api, "oldest_job_age_seconds", lane="bulk") == 0
    claim = claimed(ledger, most=12)
    assert value(api, "frames_waiting", lane="interactive") == 8
    assert value(api, "frames_leased", lane="interactive") == 12
    settle(ledger, claim, 0, failed=[0, 3])
    assert value(api, "frames_settled_total", outcome="succeeded") == 10
    assert value(api, "frames_settled_total", outcome="failed") == 2
    settle(ledger, claimed(ledger), 1)
    assert (value(api, "jobs_running"), value(api, "steps_due", step="finish")) == (0, 1)
    conclude(ledger, JOB, "partial", total=20)
    assert value(api, "jobs_ended_total", state="partial") == 1


@pytest.mark.parametrize("how", ["cancelled", "forgotten"])
def test_a_job_that_stops_is_counted_no_more(api: RunningApi, how: str) -> None:
    running_job(api.ledger, JOB, 5)
    if how == "cancelled":
        api.ledger.jobs.cancel(JOB, "asked")
    else:
        api.ledger.jobs.forget(JOB, "north")
    assert (value(api, "jobs_running"), value(api, "frames_waiting", lane="interactive")) == (0, 0)


def test_the_endpoints_flow_is_shown_with_gate_reason_and_errors(api: RunningApi) -> None:
    api.ledger.endpoints.announce([WEST])
    flow = api.ledger.flow([WEST], slot_lease=timedelta(minutes=1))
    flow.fresh("west")
    assert flow.admit("bulk", "w", "slot", among=["west"], bytes_up=1000, prompts=1, child="c").granted
    assert (value(api, "endpoint_limit", endpoint="west"), value(api, "endpoint_in_flight")) == (4, 1)
    assert value(api, "endpoint_gate", gate="open") == 1
    flow.report("west", "slot", Report("denied", base=timedelta(minutes=4), reason="unauthorized"), "frame", 1.0)
    assert value(api, "endpoint_gate", gate="closed") == 1
    assert value(api, "endpoint_gate", gate="open") == 0
    assert value(api, "endpoint_gate_reason", reason="unauthorized") == 1
    assert value(api, "endpoint_recent_errors", kind="unauthorized") == 1
    assert value(api, "endpoint_closed_seconds") > 0


def test_deliveries_are_counted_by_where_they_stand_and_their_failing_receivers(api: RunningApi) -> None:
    outbox = api.ledger.outbox
    for event in ("evt_1", "evt_2", "evt_3"):
        outbox.add(JOB, event)
    first, second = outbox.take(), outbox.take()
    assert first is not None
    assert second is not None
    outbox.again(first, timedelta(minutes=5))
    outbox.host_failed("some-host")
    standing = [value(api, f"deliveries_{where}") for where in ("due", "in_flight", "later")]
    assert standing == [1, 1, 1]
    assert value(api, "callback_hosts_failing") == 1
    outbox.host_answered("some-host")
    assert value(api, "callback_hosts_failing") == 0


def test_what_processes_notice_is_added_up_in_one_histogram_a_stage(api: RunningApi) -> None:
    for seconds in ([0.004, 0.3], [0.3, 500.0]):
        noticed = StageRecorder(api.ledger.metrics.tell)
        for one in seconds:
            noticed.took("score", one)
        noticed.happened("failed", "truncated")
        noticed.tell()
        noticed.tell()  # nothing is told twice
    assert value(api, "stage_seconds_bucket", stage="score", le="0.005") == 1
    assert value(api, "stage_seconds_bucket", stage="score", le="0.5") == 3
    assert value(api, "stage_seconds_bucket", stage="score", le="+Inf") == 4
    assert value(api, "stage_seconds_count", stage="score") == 4
    assert value(api, "stage_seconds_sum", stage="score") == pytest.approx(500.604)
    assert value(api, "frames_failed_total", code="truncated") == 2


def test_a_process_tells_by_itself_now_and_then(api: RunningApi) -> None:
    StageRecorder(api.ledger.metrics.tell, timedelta(milliseconds=20)).took("plan", 0.1)
    assert eventually(lambda: "plan" in api.ledger.metrics.snapshot().stages)


def test_what_cannot_be_told_is_kept_for_later(tmp_path, api: RunningApi) -> None:
    with running_api(tmp_path / "away", CLOSED_REDIS) as away:
        ledgers = iter((away.ledger, api.ledger))

        def tell(counts: Mapping[str, int], stages: Mapping[str, int]) -> None:
            next(ledgers).metrics.tell(counts, stages)

        noticed = StageRecorder(tell, timedelta(hours=1))
        noticed.took("plan", 0.1)
        noticed.tell()
        noticed.took("plan", 0.1)
        noticed.tell()
    assert value(api, "stage_seconds_count", stage="plan") == 2


def test_requests_are_timed_by_route_and_never_by_path(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north)
    assert north.get(f"/v1/jobs/{job}").status_code == 200
    assert north.get("/v1/patients/erika").status_code == 404
    assert value(api, "api_request_seconds_count", method="GET", route="/v1/jobs/{job}", status="200") == 1
    assert value(api, "api_request_seconds_count", route="none", status="404") == 1
    assert value(api, "api_request_seconds_count", route="/v1/jobs", status="202") == 1


def test_nothing_of_a_job_its_caller_or_a_patient_is_in_it(api: RunningApi, north: httpx.Client) -> None:
    api.ledger.endpoints.announce([WEST])
    job = accepted(north, options={"metadata": {"name": "Erika"}})
    north.get(f"/v1/jobs/{job}/artifacts/Erika.png")
    text = httpx.get(f"{api.url}/metrics", trust_env=False).text
    for private in (job, "north", "Erika", "eye 0", "10.1.2", "optic"):
        assert private not in text


def test_without_a_ledger_it_says_just_that_and_the_apis_own_numbers(tmp_path) -> None:
    with running_api(tmp_path / "store", CLOSED_REDIS) as api:
        httpx.get(f"{api.url}/livez", trust_env=False)
        seen = scraped(api)
        assert seen["maskrelay_ledger_up"] == [({}, 0)]
        assert value(api, "api_request_seconds_count", route="/livez") == 1
        assert "maskrelay_jobs_running" not in seen
