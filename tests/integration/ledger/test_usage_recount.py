"""A tenant's usage after a loss of Redis, and the recount that corrects it."""

import json
from datetime import UTC, datetime

import pytest

from maskrelay.errors import FramesQuotaReached
from maskrelay.ledger import Ledger
from maskrelay.ledger.quotas import UnusedUpload, Usage
from tests.support.drivers.ledger_jobs import MINUTE, PLENTY, conclude, keys_of, part_name, running_job
from tests.support.servers.valkeys import RunningValkey


def usage(valkey: RunningValkey) -> dict[str, int]:
    return {name.decode(): int(number) for name, number in valkey.client.hgetall("mr:used:north").items()}


def wrong(valkey: RunningValkey) -> None:
    """Make the usage wrong, as nothing in this release does."""
    valkey.client.hset("mr:used:north", mapping={"jobs": 99, "frames": -7, "bytes": 5})


def test_outcomes_of_frames_that_are_not_planned_again_yet_count_nothing(valkey: RunningValkey, ledger: Ledger) -> None:
    """One series of six slices was planned and half scored when Redis was lost."""
    assert ledger.jobs.create("job-a", "north", "bulk", 1, datetime.now(UTC), size=10)
    ledger.claims.adopt("job-a", part_name(1), [(frame, False, True) for frame in range(4)])
    assert usage(valkey) == {"jobs": 1, "frames": 0, "bytes": 10}
    lease = ledger.step_leases.take("plan")
    assert lease is not None
    told = {"first": 0, "n": 6, "spans": [(0, 6)], "last": True, "lane": "bulk", "items": 1}
    assert ledger.step_leases.extend(lease, 0, **told)
    assert usage(valkey)["frames"] == 2
    with pytest.raises(FramesQuotaReached):
        ledger.quotas.check("north", Usage(frames=3), Usage(frames=4))


def test_a_recount_corrects_a_wrong_usage_and_keeps_what_is_reserved(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 7)
    ledger.quotas.keep("north", "job-b", Usage(1, 2, 2, 30), PLENTY, MINUTE)
    ledger.quotas.keep_uploads("north", [UnusedUpload("upload-1", 400, MINUTE)], PLENTY)
    right = usage(valkey)
    assert right == {"jobs": 2, "frames": 9, "interactive": 9, "bytes": 430}
    wrong(valkey)
    ledger.quotas.recount("north")
    assert usage(valkey) == right
    conclude(ledger, "job-a")
    ledger.quotas.release("north", "job-b")
    ledger.quotas.take_uploads("north", ["upload-1"])
    assert keys_of(valkey, "mr:used:*") | keys_of(valkey, "mr:load:*") == set()


def test_a_recount_finds_jobs_that_are_not_counted_and_drops_those_that_are_unknown(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    for job in ("job-a", "job-b", "job-c"):
        running_job(ledger, job, 2)
    valkey.client.hdel("mr:load:north", "job-a")
    valkey.client.delete("mr:job:job-b")
    wrong(valkey)
    assert ledger.quotas.tenants() == {"north"}
    ledger.quotas.recount("north")
    assert usage(valkey) == {"jobs": 2, "frames": 4, "interactive": 4}


def test_the_usage_of_a_tenant_without_anything_in_progress_is_removed(valkey: RunningValkey, ledger: Ledger) -> None:
    wrong(valkey)
    for tenant in ledger.quotas.tenants():
        ledger.quotas.recount(tenant)
    assert keys_of(valkey, "mr:used:*") == set()


def test_a_recount_includes_what_changes_while_it_is_made(valkey: RunningValkey, ledger: Ledger) -> None:
    for job in ("counted", "later", "ends"):
        running_job(ledger, job, 5)
    wrong(valkey)
    number = ledger.quotas.begin_round("north")
    assert ledger.quotas.count_members("north", number, ["counted", "ends"])
    running_job(ledger, "new", 3)
    for job in ("counted", "later"):
        ledger.claims.adopt(job, part_name(1), [(0, False, True)])
    conclude(ledger, "ends")
    assert ledger.quotas.count_members("north", number, ["later", "counted", "ends"])
    assert ledger.quotas.end_round("north", number)
    assert usage(valkey) == {"jobs": 3, "frames": 11, "interactive": 11}


def test_a_recount_that_another_one_replaced_changes_nothing(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 5)
    old = ledger.quotas.begin_round("north")
    ledger.quotas.count_members("north", old, ["job-a"])
    new = ledger.quotas.begin_round("north")
    assert not ledger.quotas.count_members("north", old, ["job-a"])
    assert not ledger.quotas.end_round("north", old)
    assert ledger.quotas.count_members("north", new, ["job-a"])
    assert ledger.quotas.end_round("north", new)
    assert not ledger.quotas.end_round("north", new)
    assert usage(valkey) == {"jobs": 1, "frames": 5, "interactive": 5}


def test_a_usage_of_an_earlier_release_is_read(valkey: RunningValkey, ledger: Ledger) -> None:
    """It had four numbers for a job, and could be less than nothing."""
    running_job(ledger, "job-a", 5)
    valkey.client.hset("mr:load:north", "job-a", "1 -2 -2 0")
    valkey.client.hset("mr:used:north", mapping={"frames": -2, "interactive": -2})
    ledger.claims.adopt("job-a", part_name(1), [(0, False, True)])
    assert usage(valkey) == {"jobs": 1, "frames": 4, "interactive": 4}
    assert json.loads(f"[{valkey.client.hget('mr:load:north', 'job-a').decode().replace(' ', ',')}]") == [1, 4, 4, 0, 0]
