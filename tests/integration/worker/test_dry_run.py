"""A dry run says what a job would do, and does nothing of it."""

from collections import Counter
from contextlib import closing
from typing import Any

import httpx

from maskrelay.contract.records import keys
from maskrelay.endpoints import Endpoint
from tests.support.builders.pictures import gradient, saved, three_pages
from tests.support.builders.zips import a_zip
from tests.support.drivers.api_jobs import accepted, submission_of
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import claims_of, finished, planned
from tests.support.drivers.runs import PROMPT, accepted_run, uploaded
from tests.support.servers.apis import RunningApi
from worker.context.turn import TimeIsUp
from worker.plan.dry_run import forecast_job
from worker.plan.guarded_opening import GuardedOpener

STILL, PAGES = saved(gradient(20, 16), "PNG"), three_pages()
ENDPOINT = Endpoint(url="", auth="entra", max_in_flight=4, prompts_per_score=2)


def forecast_of(client: httpx.Client, job: str) -> dict[str, Any]:
    shown = client.get(f"/v1/jobs/{job}").json()
    assert (shown["state"], shown["counts"]["total"], shown["frames"]["planned"]) == ("succeeded", 0, 0)
    return dict(shown["forecast"])


def test_a_run_is_counted_and_nothing_is_segmented(api: RunningApi, north: httpx.Client) -> None:
    api.ledger.endpoints.announce([ENDPOINT])
    api.ledger.metrics.tell(Counter(), Counter({"score 5": 10, "score us": 20_000_000}))
    damaged = a_zip(("a.png", STILL), ("b.dcm", b"\0" * 128 + b"DICM"))
    still, pages, archive = uploaded(north, STILL, PAGES, damaged)
    head = {"prompts": [PROMPT, "a", "b"], "options": {"dry_run": True, "max_rejected_share": 0.5}}
    job = accepted_run(north, head, {"upload": still}, {"upload": pages}, {"upload": archive}, b"bad")
    planned(api)
    assert list(claims_of(api)) == []
    finished(api, job)
    found = forecast_of(north, job)
    assert (found["items"], found["failed"], found["rejected"]) == (4, 1, 1)
    assert (found["frames"], found["scores"]) == (5, 10)  # two scores for the three prompts of each frame
    member = found["bytes_to_read"] - len(STILL) - len(PAGES)
    assert 0 < member <= len(STILL)
    assert (found["endpoints"], found["scores_per_second"]) == (1, 2.0)  # 4 in flight, 2 s each
    assert (found["seconds"], found["cost"]) == (5.0, None)
    assert north.get(f"/v1/jobs/{job}/items").json()["items"] == []


def test_without_a_measured_score_the_time_is_unknown(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, STILL, options={"dry_run": True})
    planned(api)
    finished(api, job)
    found = forecast_of(north, job)
    assert (found["frames"], found["scores"], found["seconds"], found["endpoints"]) == (1, 1, None, 0)


def test_an_interrupted_dry_run_counts_nothing_twice(api: RunningApi, north: httpx.Client, monkeypatch: Any) -> None:
    monkeypatch.setattr("worker.plan.layout.FRAMES_PER_PART", 2)
    job = accepted(north, STILL, PAGES, STILL, PAGES, options={"dry_run": True})
    parts = parts_of(api)
    lease = parts.ledger.step_leases.take("plan")
    assert lease is not None
    interruptions = 0

    def is_over() -> None:
        """End the step after each part of the plan."""
        nonlocal interruptions
        if api.objects(keys.dry_run_counts(job)) and api.storage.get(keys.dry_run_counts(job)) != before:
            interruptions += 1
            raise TimeIsUp

    before = b""
    while not api.objects(keys.forecast(job)):
        before = api.storage.get(keys.dry_run_counts(job)) if api.objects(keys.dry_run_counts(job)) else b""
        with closing(parts.sources()) as sources, closing(GuardedOpener(parts, lease)) as opening:
            try:
                forecast_job(parts, sources, submission_of(api, job), lease, opening, is_over)
            except TimeIsUp:
                continue
    assert interruptions == 3
    finished(api, job)
    found = forecast_of(north, job)
    assert (found["items"], found["frames"]) == (4, 8)
    assert found["bytes_to_read"] == 2 * len(STILL) + 2 * len(PAGES)


def test_a_dry_run_can_be_cancelled(api: RunningApi, north: httpx.Client) -> None:
    job = accepted(north, STILL, options={"dry_run": True})
    assert north.post(f"/v1/jobs/{job}/cancel").status_code == 202
    finished(api, job)
    shown = north.get(f"/v1/jobs/{job}").json()
    assert shown["state"] == "cancelled"
    assert "forecast" not in shown
