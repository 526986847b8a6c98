"""Deliveries: listed with how they stand, sent again on request; a host that is broken is left alone for a while."""

import httpx
import redis

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Result
from maskrelay.ledger.outbox import FAILURES
from tests.support.drivers.api_jobs import (
    accepted,
    failed,
    finish,
    submission_of,
)
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.sending import send_due
from tests.support.servers.apis import RunningApi
from tests.support.servers.receivers import receiver, status
from worker.context.job_records.conclusion import conclude
from worker.sweep.reconcile import reconcile


def ended(api: RunningApi, client: httpx.Client, url: str) -> str:
    """A job that failed, whose event is on its way to `url`."""
    job = accepted(client, b"a", options={"callback": {"url": url}})
    result: Result = finish(api, job, failed(0), known=False)
    conclude(parts_of(api), submission_of(api, job), result)
    return job


def fall_due(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.zadd("mr:outbox", dict.fromkeys(client.zrange("mr:outbox", 0, -1), 1))


def only(client: httpx.Client, job: str) -> dict:
    (one,) = client.get(f"/v1/jobs/{job}/deliveries").json()["deliveries"]
    return one


def test_an_event_waits_then_is_delivered_and_can_be_sent_again_under_its_id(
    api: RunningApi, north: httpx.Client
) -> None:
    with receiver(status(200)) as hook:
        job = ended(api, north, hook.url())
        waiting = only(north, job)
        assert (waiting["type"], waiting["state"], waiting["attempts"]) == ("job.failed", "waiting", 0)
        send_due(api)
        told = only(north, job)
        assert (told["state"], told["attempts"], told["status"]) == ("delivered", 1, 200)
        assert api.objects("live/") == []
        answer = north.post(f"/v1/jobs/{job}/deliveries/{told['event']}/replay")
        assert (answer.status_code, answer.json()["state"]) == (202, "waiting")
        send_due(api)
    assert [got.headers["webhook-id"] for got in hook.received] == [told["event"]] * 2
    assert hook.received[0].body == hook.received[1].body
    assert only(north, job)["state"] == "delivered"
    assert api.objects("live/") == []


def test_the_last_answer_is_shown_while_an_event_waits(api: RunningApi, north: httpx.Client) -> None:
    with receiver(status(503)) as hook:
        job = ended(api, north, hook.url())
        send_due(api)
    shown = only(north, job)
    assert (shown["state"], shown["attempts"], shown["status"]) == ("waiting", 1, 503)


def test_what_the_receiver_wants_no_more_is_given_up_and_replayed_on_request(
    api: RunningApi, north: httpx.Client
) -> None:
    with receiver(status(410)) as hook:
        job = ended(api, north, hook.url())
        send_due(api)
        shown = only(north, job)
        assert (shown["state"], shown["status"], shown["reason"]) == ("given_up", 410, "gone")
        north.post(f"/v1/jobs/{job}/deliveries/{shown['event']}/replay")
        send_due(api)
    assert len(hook.received) == 2


def test_a_replay_that_redis_lost_is_found_in_storage(api: RunningApi, north: httpx.Client, api_valkey: str) -> None:
    with receiver(status(200)) as hook:
        job = ended(api, north, hook.url())
        send_due(api)
        north.post(f"/v1/jobs/{job}/deliveries/{only(north, job)['event']}/replay")
        with redis.Redis.from_url(api_valkey) as client:
            client.flushall()
        reconcile(parts_of(api))
        send_due(api)
    assert len(hook.received) == 2


def test_an_event_that_is_none_or_of_another_tenant_or_too_old_is_not_replayed(
    api: RunningApi, north: httpx.Client, south: httpx.Client
) -> None:
    with receiver(status(200)) as hook:
        job = ended(api, north, hook.url())
        send_due(api)
    event = only(north, job)["event"]
    replay = f"/v1/jobs/{job}/deliveries/{event}/replay"
    assert south.post(replay).status_code == south.get(f"/v1/jobs/{job}/deliveries").status_code == 404
    assert north.post(replay.replace(event, "evt_" + "0" * 32)).json()["code"] == "not_found"
    api.storage.delete(keys.event(job, event))
    assert north.post(replay).json()["code"] == "gone"
    assert only(north, job)["state"] == "delivered"


def test_a_deleted_jobs_events_are_not_sent(api: RunningApi, north: httpx.Client) -> None:
    with receiver(status(200)) as hook, api.client("admin") as admin:
        job = ended(api, north, hook.url())
        event = only(north, job)["event"]
        admin.delete(f"/v1/jobs/{job}")
        api.ledger.outbox.add(job, event)
        send_due(api)
    assert hook.received == []


def test_a_host_that_failed_again_and_again_is_left_alone_and_nothing_is_charged(
    api: RunningApi, north: httpx.Client, south: httpx.Client, api_valkey: str
) -> None:
    with receiver(status(500)) as hook:
        for _ in range(FAILURES):
            ended(api, north, hook.url())
            send_due(api)
        job = ended(api, north, hook.url())
        send_due(api)
        assert len(hook.received) == FAILURES
        assert only(north, job)["attempts"] == 0
        ended(api, south, hook.url())
        send_due(api)
        assert len(hook.received) == FAILURES + 1
        with redis.Redis.from_url(api_valkey) as client:
            (resting,) = client.keys("mr:resting:*")
            assert 0 < client.pttl(resting) <= 30_000
            client.delete(resting)
        fall_due(api_valkey)
        send_due(api)
        assert len(hook.received) > FAILURES + 1


def test_an_answer_ends_the_count_of_failures(api: RunningApi, north: httpx.Client, api_valkey: str) -> None:
    with receiver(status(404)) as hook:
        for _ in range(FAILURES + 1):
            ended(api, north, hook.url())
            send_due(api)
    assert len(hook.received) == FAILURES + 1
