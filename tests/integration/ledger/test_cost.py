"""No call to Redis does more, or answers with more, because there are more jobs, frames or claims."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Lane
from maskrelay.ledger import Ledger
from maskrelay.ledger.quotas import Usage
from maskrelay.ledger.scripts import PAGE, texts
from tests.support.checks.command_costs import Cost, Watched
from tests.support.drivers.flows import an_endpoint
from tests.support.drivers.ledger_jobs import (
    MINUTE,
    PLENTY,
    accepted_job,
    claimed,
    conclude,
    frames_of,
    keys_of,
    running_job,
    settle,
)
from tests.support.servers.valkeys import RunningValkey, running_valkey

ONE = Usage(jobs=1, frames=1, interactive=1, bytes=1)


@contextmanager
def watched(jobs: int, claims: int) -> Iterator[Watched]:
    """A ledger with so many running jobs of one tenant, and so many claims."""
    with running_valkey() as valkey:
        at = Watched(valkey)
        for number in range(jobs):
            running_job(at.ledger, f"job-{number}", 3, lane="bulk")
        for _ in range(claims):
            claimed(at.ledger, 1, ["bulk"])
        yield at


OPERATIONS: dict[str, Callable[[Ledger], Any]] = {
    "room": lambda ledger: ledger.quotas.check("north", ONE, PLENTY),
    "room kept": lambda ledger: ledger.quotas.keep("north", keys.new_id(), ONE, PLENTY, MINUTE),
    "claim": lambda ledger: claimed(ledger, 1, ["bulk"]),
    "claims held": lambda ledger: ledger.claims.held(),
    "lapse after a restart": lambda ledger: ledger.claims.lapse(),
    "look": lambda ledger: ledger.metrics.snapshot(),
    "work": lambda ledger: ledger.wake_ups.work("segment"),
    "cancel": lambda ledger: ledger.jobs.cancel("job-1", "caller"),
    "conclude": lambda ledger: conclude(ledger, "job-2"),
    "forget": lambda ledger: ledger.jobs.forget("job-3", "north"),
    "retire": lambda ledger: ledger.jobs.retire("job-4", MINUTE),
    "create": lambda ledger: accepted_job(ledger, "job-new"),
    "step": lambda ledger: ledger.step_leases.take("plan"),
    "recount": lambda ledger: ledger.quotas.recount("north"),
}


def test_operations_cost_the_same_beside_ten_times_as_many_jobs_and_claims() -> None:
    costs: list[dict[str, Cost]] = []
    for jobs in (210, 2100):  # above what `snapshot.lua` and `count_work.lua` look at
        with watched(jobs, claims=jobs // 5) as at:
            costs.append({name: at.most(call, at.ledger) for name, call in OPERATIONS.items()})
    few, many = costs
    for name, cost in many.items():
        assert cost.commands <= few[name].commands + 5, name
        assert cost.words <= max(few[name].words + 15, 3 * PAGE), name
        assert cost.answered <= max(few[name].answered, 2 * PAGE), name


def test_leases_that_lapse_together_are_taken_back_a_few_at_a_time() -> None:
    with watched(jobs=300, claims=300) as at:
        at.ledger.claims.lapse()
        at.client.zadd("mr:leases", dict.fromkeys(at.client.zrange("mr:leases", 0, -1), 1))
        assert at.most(at.ledger.claims.lapse).commands < 500
        assert at.client.zcard("mr:leases") == 0
        assert frames_of(at.ledger, "job-7").waiting == 3


def test_leases_and_deliveries_are_moved_a_page_at_a_time_when_the_clock_goes_back(valkey: RunningValkey) -> None:
    at = Watched(valkey)
    at.ledger.claims.lapse()
    now = int(at.client.hget("mr:sweep", "last") or 0)
    hour = 3_600_000
    at.client.hset("mr:sweep", "last", now + hour)
    at.client.zadd("mr:outbox", {f"job-{number} event": now + hour + number // 2 for number in range(1500)})
    at.client.zadd("mr:leases", {f"{number:016x}": now + hour for number in range(1500)})
    assert at.most(at.ledger.claims.lapse).words < 1500
    moments = dict(at.client.zrange("mr:outbox", 0, -1, withscores=True))
    late = [moments[f"job-{number} event".encode()] - now - number // 2 for number in range(1500)]
    assert max(map(abs, late)) < MINUTE / timedelta(milliseconds=1)  # each once, by the time that the clock went back
    assert at.client.zcount("mr:leases", now + hour, "+inf") == 0
    assert not {b"back_ms", b"back_from", b"extend_to"} & set(at.client.hgetall("mr:sweep"))


def test_the_claims_of_a_forgotten_job_are_dropped_a_few_at_a_time(valkey: RunningValkey) -> None:
    at = Watched(valkey)
    running_job(at.ledger, "job-a", 400, lane="bulk")
    held = [claimed(at.ledger, 0, ["bulk"]) for _ in range(330)]
    assert at.most(at.ledger.jobs.forget, "job-a", "north").commands < 250
    assert settle(at.ledger, held[0], 1) == set()
    assert keys_of(valkey, "mr:job:*") | keys_of(valkey, "mr:claims") | keys_of(valkey, "mr:leases") == set()
    assert not at.ledger.jobs.forget("job-a", "north")


def test_frames_to_claim_are_counted_in_bounded_work_for_many_tenants_with_suspects(valkey: RunningValkey) -> None:
    at = Watched(valkey)
    for number in range(240):
        lane: Lane = "bulk" if number % 2 else "interactive"
        running_job(at.ledger, f"job-{number}", 3, lane=lane, tenant=f"tenant-{number}")
        at.client.set("mr:drain", "another", px=30_000)  # so that nobody else is asked to make room for a suspect
        claim = claimed(at.ledger, 1, [lane])
        assert at.ledger.claims.release(claim.token, claim.first, suspect=number >= 120)
    at.most(at.ledger.wake_ups.work, "segment")
    assert at.ledger.wake_ups.work("segment") > 400


def test_many_who_wait_no_more_leave_the_line_a_few_at_a_time(valkey: RunningValkey) -> None:
    at = Watched(valkey)
    endpoint = an_endpoint("a")
    flow = at.ledger.flow([endpoint])
    flow.fresh(endpoint.name)
    gone = {f"child:{number}": 1 for number in range(1000)}
    for key in ("seen", "waiters:bulk"):
        at.client.zadd(f"mr:flow:{endpoint.name}:{key}", gone)
    asked = partial(flow.admit, "bulk", "live", "slot", among=["a"], bytes_up=1, prompts=1, child="child")
    for _ in range(40):
        at.most(asked)
    assert at.client.zscore(f"mr:flow:{endpoint.name}:waiters:bulk", "child:0") is None
    assert at.client.zcard(f"mr:flow:{endpoint.name}:waiters:bulk") <= 1


#: What reads or drops a whole key in one command, and the keys that stay small whatever the work is.
WHOLE = re.compile(r"'(KEYS|SMEMBERS|HGETALL|HVALS|HKEYS|DEL|SORT|SINTER|SUNION)', ([^)]*)")
SMALL = {
    "job_key(job",
    "key",
    "'mr:flow:' .. set.name",
    "flow_key(flow, 'errors:' .. minute - ago",
    "failing",
    "used",
    "mark",
    "scoring_key(ARGV[place]",  # the mark of one score that is being computed
}
SMALL |= {"'mr:reconciling'", "'mr:reconciling', 'mr:reconciling:began'", "'mr:endpoints'"}


def test_no_script_reads_or_drops_a_large_key_at_once() -> None:
    found = {match[2] for text in texts().values() for match in WHOLE.finditer(text)}
    assert found <= {*SMALL, "job_key(job, 'opening'", "job_key(job"}, found - SMALL
