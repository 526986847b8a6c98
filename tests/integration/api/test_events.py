"""Server-sent events: what listeners hear of a job and of a tenant's jobs, and what they miss when they are away."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from api.app import build
from api.jobs import ended_items, event_streams, job_feed, server_sent_events
from api.jobs.tenant_feed import TenantFeed
from tests.support.drivers.api_jobs import accepted, failed, finish, plan, settle, succeeded
from tests.support.drivers.listeners import ReceivedEvent, listening, until
from tests.support.servers.apis import RunningApi, a_valkey, api_process, running_api
from tests.support.servers.valkeys import running_valkey


@pytest.fixture
def job(api: RunningApi, north: httpx.Client) -> str:
    """A planned job of three pictures."""
    made = accepted(north, b"a", b"b", b"c")
    plan(api, made)
    return made


def path(job: str) -> str:
    return f"/v1/jobs/{job}/events"


def items(events: list[ReceivedEvent]) -> list[int]:
    return [event.data["item"] for event in events if event.event == "item"]


def test_a_listener_hears_each_item_and_the_end(api: RunningApi, north: httpx.Client, job: str) -> None:
    with listening(north, path(job)) as events:
        first = next(events)
        assert (first.event, first.data["id"]) == ("job", job)
        settle(api, job, 1, succeeded(api, job, 0))
        (*_, item) = until(events, "item")
        assert item.data["item"] == 0
        assert item.data["links"]["self"] == f"{api.url}/v1/jobs/{job}/items/0"
        assert item.data["links"]["overlay"] == f"{api.url}/v1/jobs/{job}/artifacts/0-0.overlay.png"
        settle(api, job, 2, failed(1), succeeded(api, job, 2))
        two = [*until(events, "item"), *until(events, "item")]
        assert items(two) == [1, 2]
        states = {event.data["item"]: event.data["state"] for event in two if event.event == "item"}
        assert states == {1: "failed", 2: "succeeded"}
        finish(api, job, succeeded(api, job, 0), failed(1), succeeded(api, job, 2))
        rest = list(events)
    assert rest[-1].event == "end"
    assert rest[-1].data == north.get(f"/v1/jobs/{job}").json()
    assert items(rest) == []


def test_progress_is_the_job_as_it_is_shown(api: RunningApi, north: httpx.Client, job: str) -> None:
    with listening(north, path(job)) as events:
        assert next(events).data["counts"]["succeeded"] == 0
        settle(api, job, 1, succeeded(api, job, 0))
        while (event := next(events)).event != "job" or event.data["counts"]["succeeded"] == 0:
            pass
        assert event.data["frames"]["succeeded"] == 1
        assert event.data.keys() == north.get(f"/v1/jobs/{job}").json().keys()


def test_items_that_complete_as_the_job_ends_are_still_announced(api: RunningApi, north: httpx.Client) -> None:
    made = accepted(north, b"a")
    with listening(north, path(made)) as events:
        next(events)
        # nothing announces the outcome before the end
        finish(api, made, succeeded(api, made, 0))
        heard = list(events)
    assert items(heard) == [0]
    assert heard[-1].event == "end"


def test_a_job_that_has_ended_is_told_at_once(api: RunningApi, north: httpx.Client, job: str) -> None:
    finish(api, job, succeeded(api, job, 0), failed(1), failed(2))
    with listening(north, path(job)) as events:
        assert [event.event for event in events] == ["end"]
    with listening(north, f"{path(job)}?from=start") as events:
        heard = list(events)
    assert items(heard) == [0, 1, 2]
    with listening(north, path(job), last=heard[1].id) as events:
        assert items(list(events)) == [2]


def test_a_listener_goes_on_after_the_last_event_in_another_process(
    api: RunningApi, north: httpx.Client, job: str, tmp_path: Path
) -> None:
    settle(api, job, 1, succeeded(api, job, 0))
    with listening(north, f"{path(job)}?from=start") as events:
        last = until(events, "item")[-1]
    settle(api, job, 2, succeeded(api, job, 1))
    url = api.settings.redis_url.get_secret_value()
    with running_api(api.folder, url) as other, other.client() as again, listening(again, path(job), last.id) as events:
        assert items(until(events, "item")) == [1]
        settle(api, job, 3, succeeded(api, job, 2))
        assert items(until(events, "item")) == [2]


def test_who_missed_too_much_is_told_to_read_the_list(
    api: RunningApi, north: httpx.Client, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (event_streams, ended_items):
        monkeypatch.setattr(module, "MOST_ITEMS", 2)
    settle(api, job, 1, succeeded(api, job, 0), succeeded(api, job, 1), succeeded(api, job, 2))
    with listening(north, f"{path(job)}?from=start") as events:
        skipped = until(events, "dropped")[-1]
    assert skipped.data == {"reason": "too_old"}
    finish(api, job, *(succeeded(api, job, frame) for frame in range(3)))
    with listening(north, path(job), last="r0.0") as events:
        assert [(event.event, event.data.get("reason")) for event in events] == [("dropped", "too_old"), ("end", None)]


@pytest.mark.parametrize("last", ["evt_1", "r999.0", "f1"])
def test_an_unknown_id_is_told_and_the_stream_goes_on(
    api: RunningApi, north: httpx.Client, job: str, last: str
) -> None:
    with listening(north, path(job), last=last) as events:
        assert until(events, "dropped")[-1].data == {"reason": "unknown_id"}
        settle(api, job, 1, succeeded(api, job, 0))
        assert items(until(events, "item")) == [0]


def test_a_job_of_another_tenant_or_a_deleted_one_has_no_events(
    api: RunningApi, north: httpx.Client, south: httpx.Client, job: str
) -> None:
    assert south.get(path(job)).status_code == 404
    with api.client("admin") as admin:
        admin.delete(f"/v1/jobs/{job}")
    assert north.get(path(job)).status_code == 410


def test_a_stream_ends_when_its_job_is_deleted(api: RunningApi, north: httpx.Client, job: str) -> None:
    with listening(north, path(job)) as events, api.client("admin") as admin:
        next(events)
        admin.delete(f"/v1/jobs/{job}")
        assert "end" not in [event.event for event in events]


def test_a_comment_is_sent_while_nothing_happens(
    north: httpx.Client, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (server_sent_events, event_streams):
        monkeypatch.setattr(module, "HEARTBEAT_S", 0.05)
    with north.stream("GET", path(job)) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        assert any(line.startswith(":") for line in lines)


def test_a_stream_ends_after_its_longest_time(north: httpx.Client, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_sent_events, "LONGEST_S", 0.1)
    monkeypatch.setattr(server_sent_events, "HEARTBEAT_S", 0.05)
    with listening(north, path(job)) as events:
        assert {event.event for event in events} <= {"job"}


@pytest.mark.parametrize("ended", [False, True])
def test_a_stream_whose_time_is_over_sends_no_event_that_waits(
    api: RunningApi, north: httpx.Client, job: str, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    settle(api, job, 1, succeeded(api, job, 0), failed(1))
    if ended:
        finish(api, job, succeeded(api, job, 0), failed(1), failed(2))
    monkeypatch.setattr(server_sent_events, "LONGEST_S", 0.0)
    for address in (f"{path(job)}?from=start", "/v1/events"):
        with listening(north, address) as events:
            assert list(events) == []


def test_head_sends_no_stream(north: httpx.Client, job: str) -> None:
    answer = north.head(path(job))
    assert (answer.status_code, answer.content) == (200, b"")


def test_changes_are_polled_where_a_notification_was_lost(
    api: RunningApi, north: httpx.Client, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_feed, "_MOST_S", 0.05)
    with (
        redis.Redis.from_url(api.settings.redis_url.get_secret_value()) as client,
        listening(north, path(job)) as events,
    ):
        next(events)
        client.client_kill_filter(_type="pubsub")
        settle(api, job, 1, succeeded(api, job, 0))
        assert items(until(events, "item")) == [0]


def test_the_listeners_of_a_process_share_one_subscription(api: RunningApi, north: httpx.Client, job: str) -> None:
    with (
        redis.Redis.from_url(api.settings.redis_url.get_secret_value()) as client,
        listening(north, path(job)) as first,
        listening(north, path(job)) as second,
        listening(north, "/v1/events") as third,
    ):
        for events in (first, second, third):
            next(events)
        settle(api, job, 1, succeeded(api, job, 0))
        for events in (first, second):
            assert items(until(events, "item")) == [0]
        assert client.pubsub_numsub("mr:bell:changed") == [(b"mr:bell:changed", 1)]


def test_a_tenant_hears_of_all_its_jobs_and_of_no_others(
    api: RunningApi, north: httpx.Client, south: httpx.Client, job: str
) -> None:
    with listening(north, "/v1/events") as events:
        assert next(events).data["id"] == job
        accepted(south, b"x")
        new = accepted(north, b"d")
        heard = next(event for event in events if event.data["id"] != job)
        assert (heard.event, heard.data["id"]) == ("job", new)
        finish(api, new, succeeded(api, new, 0))
        ended = next(event for event in events if event.data["id"] == new and event.data["state"] == "succeeded")
    with listening(north, "/v1/events", last=ended.id) as events:
        assert {next(events).data["id"], next(events).data["id"]} == {job, new}
    with listening(north, "/v1/events", last="x") as events:
        assert next(events).event == "dropped"


def test_a_job_may_be_added_while_a_listener_reads_the_first_events_slowly(
    api: RunningApi, north: httpx.Client, job: str
) -> None:
    other = accepted(north, b"d")
    app: Any = build(api.settings, api.ledger, api.storage)

    async def read_slowly() -> list[bytes]:
        feed = TenantFeed(app.state.service, "north", api.url)
        running = asyncio.create_task(feed.run())
        await feed.wait_ready(10)
        events, number = feed.snapshot(None), feed.events.count
        read = [next(events)]
        feed.changed(accepted(north, b"e"))
        await feed.events.wait(number, 10)
        read += events
        running.cancel()
        return read

    read = asyncio.run(read_slowly())
    assert sorted(json.loads(event.partition(b"data: ")[2])["id"] for event in read) == sorted([job, other])


def test_a_tenant_hears_that_a_job_was_deleted(api: RunningApi, north: httpx.Client, job: str) -> None:
    with listening(north, "/v1/events") as events, api.client("admin") as admin:
        next(events)
        admin.delete(f"/v1/jobs/{job}")
        gone = next(event for event in events if event.event == "gone")
    assert gone.data == {"id": job}


def test_a_stream_goes_on_after_redis_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_feed, "_MOST_S", 0.2)
    with running_valkey() as valkey, running_api(tmp_path / "store", valkey.url) as api, api.client() as north:
        job = accepted(north, b"a")
        with listening(north, path(job)) as events:
            next(events)
            valkey.restart()  # nothing of the job is left in it
            finish(api, job, succeeded(api, job, 0))
            heard = list(events)
    assert items(heard) == [0]
    assert heard[-1].event == "end"


def test_the_api_stops_although_somebody_listens(tmp_path: Path) -> None:
    with a_valkey() as url, api_process(tmp_path, url) as (address, process):
        headers = {"Authorization": "Bearer north"}
        with httpx.Client(base_url=address, headers=headers, trust_env=False, timeout=30) as client:
            job = accepted(client, b"a")
            with listening(client, path(job)) as events, listening(client, "/v1/events") as others:
                next(events), next(others)
                process.terminate()
                assert [event.event for event in events if event.event == "end"] == []
                list(others)
        process.wait(20)
