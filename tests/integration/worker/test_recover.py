"""What fell silent is sent on its way, finished jobs are listed again, and all of it at once on request."""

from datetime import timedelta

import httpx
import pytest
import redis

from maskrelay.client.cli import main
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Result
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.cleanup_passes import later, parts_of
from tests.support.drivers.driven_jobs import driven, planned, scored
from tests.support.drivers.superseded_attempts import with_losers
from tests.support.servers.apis import SERVER_KEY, RunningApi
from worker.cleanup import relist
from worker.cleanup.cleanup_pass import clear
from worker.sweep.recover import recover


@pytest.mark.parametrize("kind", ["plan", "finish"])
def test_a_step_whose_worker_fell_silent_is_sent_on_its_way_again(
    api: RunningApi, two: str, empty_valkey: str, kind: str
) -> None:
    if kind == "finish":
        planned(api)
        scored(api)
    lost = api.ledger.step_leases.take(kind)
    assert lost is not None
    assert recovered(api)[f"wake-ups sent: {kind}"] == 0
    lapse(empty_valkey, f"mr:step:{kind}")
    assert recovered(api)[f"wake-ups sent: {kind}"] == 1
    again = api.ledger.step_leases.take(kind)
    assert again is not None
    assert (again.job, api.ledger.step_leases.renew(lost)) == (two, False)
    lapse(empty_valkey, f"mr:step:{kind}")
    assert driven(api, two).counts.succeeded == 2


def test_an_item_whose_assembling_fell_silent_is_sent_on_its_way_again(
    api: RunningApi, two: str, empty_valkey: str
) -> None:
    planned(api)
    scored(api)
    step = api.ledger.step_leases.take("finish")
    assert step is not None
    assert api.ledger.step_leases.assemble(step, [(0, 0)])
    assert api.ledger.assembly_leases.take() is not None
    assert recovered(api)["wake-ups sent: assemble"] == 0
    lapse(empty_valkey, "mr:assembling")
    assert recovered(api)["wake-ups sent: assemble"] == 1
    again = api.ledger.assembly_leases.take()
    assert (again.job, again.tries) == (two, 2)


def lapse(url: str, queue: str) -> None:
    """Let every lease of the queue be over, and every wake-up lost."""
    with redis.Redis.from_url(url) as client:
        client.zadd(queue, dict.fromkeys(client.zrange(queue, 0, -1), 1))
        client.delete(*client.keys("mr:woken:*"), "none")


def recovered(api: RunningApi) -> dict[str, int]:
    return recover(parts_of(api), later())


def listed(client: httpx.Client) -> list[str]:
    return [job["id"] for job in client.get("/v1/jobs").json()["jobs"]]


def test_finished_jobs_are_listed_again_after_redis_was_emptied(
    api: RunningApi, north: httpx.Client, south: httpx.Client, empty_valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relist, "KEYS_A_PASS", 10)
    jobs = [accepted(north, b"a") for _ in range(3)]
    other, deleted = accepted(south, b"a"), accepted(north, b"a")
    driven(api, other)
    with api.client("admin") as admin:
        admin.delete(f"/v1/jobs/{deleted}")
    before = listed(north)
    assert before == jobs[::-1]
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
        assert listed(north) == []
        for _ in range(len(api.objects("jobs/")) // 10 + 2):
            clear(parts_of(api), later())
        assert (listed(north), listed(south)) == (before, [other])
        client.delete("mr:tenant:north")
        clear(parts_of(api), later())  # Redis is the same one: nothing is walked through again
        assert listed(north) == []


def test_a_deleted_job_whose_objects_are_still_there_is_not_listed_again(
    api: RunningApi, two: str, empty_valkey: str
) -> None:
    driven(api, two)
    with api.client("admin") as admin:
        admin.delete(f"/v1/jobs/{two}")
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    assert keys.result(two) in api.objects("jobs/")
    assert relist.relist(parts_of(api), api.objects("jobs/")) == 0
    assert api.ledger.jobs.listed("north", None, 10) == []


def test_recovering_puts_an_emptied_ledger_right_at_once_and_a_second_time_finds_nothing(
    api: RunningApi, north: httpx.Client, empty_valkey: str
) -> None:
    done, waiting, running = (accepted(north, b"a") for _ in range(3))
    driven(api, done)
    unplanned = accepted(north, b"b")
    before = set(listed(north))
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    found = recovered(api)
    assert (found["live jobs compared"], found["ledger records restored"]) == (1, 1)
    assert found["finished jobs returned to the list"] == 3
    assert found["wake-ups sent: plan"] == 1
    assert set(listed(north)) == before == {done, waiting, running, unplanned}
    again = recovered(api)
    assert {what: count for what, count in again.items() if count} == {"live jobs compared": 1}


def test_recovering_sweeps_everything_and_removes_nothing_that_counts(
    api: RunningApi, north: httpx.Client, two: str
) -> None:
    stray = with_losers(api, two)
    kept = set(api.objects()) - set(stray)
    found = recover(parts_of(api), later(minutes=11))
    assert found["objects of superseded attempts removed"] == len(stray)
    assert set(api.objects()) == kept
    assert Result.model_validate_json(api.storage.get(keys.result(two))).state == "succeeded"


def test_the_command_says_what_it_found_and_did(
    api: RunningApi, two: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MASKRELAY_REDIS_URL", api.settings.redis_url.get_secret_value())
    monkeypatch.setenv("MASKRELAY_STORAGE_URL", api.settings.storage_url)
    monkeypatch.setenv("MASKRELAY_SERVER_KEY", SERVER_KEY)
    assert main(["recover"]) == 0
    told = dict(reversed(line.split(maxsplit=1)) for line in capsys.readouterr().out.splitlines())
    assert (told["live jobs compared"], told["ledger records restored"], told["unused uploads removed"]) == (
        "1",
        "0",
        "0",
    )
    assert api.ledger.sweep_state.begin_reconciling(timedelta(0))
    assert main(["recover"]) == 0
    assert capsys.readouterr().out.startswith("another process is already comparing the storage")
    monkeypatch.setenv("MASKRELAY_REDIS_URL", "redis://127.0.0.1:9/0")
    assert main(["recover"]) == 3
