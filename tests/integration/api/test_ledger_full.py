"""Redis' memory nearly used up: no new job is taken, and all that was accepted goes on."""

from collections.abc import Iterator

import httpx
import pytest
import redis

from tests.support.drivers.api_jobs import (
    accepted,
    plan,
    settle,
    submit,
    succeeded,
)
from tests.support.servers.apis import RunningApi

KEY = {"Idempotency-Key": "the-night-run"}


@pytest.fixture
def nearly_full(api: RunningApi, north: httpx.Client, empty_valkey: str) -> Iterator[str]:
    """A job accepted under a key; then memory is 95 % used."""
    job = accepted(north, headers=KEY)
    with redis.Redis.from_url(empty_valkey) as client:
        client.set("ballast", b"0" * 64_000_000)  # so that the rest has room for what a script and its answer take
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] / 0.95))
        try:
            yield job
        finally:
            client.config_set("maxmemory", 0)
            client.delete("ballast")


def test_new_work_is_refused_with_a_time_to_come_again(api: RunningApi, north: httpx.Client, nearly_full: str) -> None:
    before = api.objects()
    answer = submit(north, b"other pixels")
    assert (answer.status_code, answer.json()["code"]) == (503, "ledger_full")
    assert answer.json()["retry_after_s"] == int(answer.headers["retry-after"]) >= 1
    assert api.objects() == before
    assert accepted(north, headers=KEY) == nearly_full


def test_it_is_seen_in_readiness_which_stays(north: httpx.Client, nearly_full: str) -> None:
    answer = north.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "ledger": "full", "storage": "ok"})
    assert north.get(f"/v1/jobs/{nearly_full}").status_code == 200


def test_what_was_accepted_is_settled(api: RunningApi, north: httpx.Client, nearly_full: str) -> None:
    plan(api, nearly_full)
    settle(api, nearly_full, 1, succeeded(api, nearly_full, 0))
    assert north.get(f"/v1/jobs/{nearly_full}").json()["state"] == "finishing"
