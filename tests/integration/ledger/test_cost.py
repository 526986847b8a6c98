"""No call to Redis does more, or answers with more, because there are more jobs, frames or parts."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Lane
from maskrelay.errors import BytesQuotaReached, JobsQuotaReached
from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Settlement
from maskrelay.ledger.part_names import pack
from maskrelay.ledger.quotas import UnusedUpload, Usage
from maskrelay.ledger.scripts import CHANGES, PAGE, texts
from tests.support.drivers.flows import an_endpoint
from tests.support.drivers.ledger_jobs import (
    accepted_job,
    claimed,
    conclude,
    finishing_job,
    frames_of,
    keys_of,
    leased_step,
    part_name,
    running_job,
    settle,
    state_of,
)
from tests.support.servers.valkeys import RunningValkey, running_valkey

ONE = Usage(jobs=1, frames=1, interactive=1, bytes=1)
PLENTY = Usage(jobs=10**6, frames=10**9, interactive=10**9, bytes=10**12)
MINUTE = timedelta(minutes=1)


#: What one call to Redis may do there: at some 4 µs a command it takes less than 5 ms.
COMMANDS_MOST = 1000
WORDS_MOST = 4500


class Cost(NamedTuple):
    """What one call to Redis ran there, how many words these commands had in all, and how many entries it answered."""

    commands: int
    words: int
    answered: int


class Watched:
    """A ledger whose calls to Redis are watched."""

    def __init__(self, valkey: RunningValkey) -> None:
        self.client = valkey.client
        self.ledger = valkey.ledger()
        self._answers: list[Any] = []
        connected: Any = self.ledger.scripts._client
        execute = connected.execute_command

        def watched(*command: Any, **options: Any) -> Any:
            self._answers.append(execute(*command, **options))
            return self._answers[-1]

        connected.execute_command = watched

    def most(self, call: Callable[..., Any], *arguments: Any) -> Cost:
        """The most that one call to Redis ran there, of each kind of cost; AssertionError if that is too much."""
        self._answers.clear()
        calls: list[list[int]] = []
        with self.client.monitor() as monitor:
            call(*arguments)
            self.client.echo("the end")
            for seen in monitor.listen():
                if seen["client_type"] == "lua":
                    calls[-1].append(len(seen["command"].split()))
                elif seen["command"] == "ECHO the end":
                    break
                else:
                    calls.append([])
        cost = Cost(max(map(len, calls)), max(map(sum, calls)), max(map(_length, self._answers)))
        assert cost.commands <= COMMANDS_MOST, cost
        assert cost.words <= WORDS_MOST, cost
        return cost


def _length(answer: Any) -> int:
    return len(answer) if isinstance(answer, list | tuple | dict) else 1


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
    "look": lambda ledger: ledger.metrics.look(),
    "work": lambda ledger: ledger.wake_ups.work("segment"),
    "cancel": lambda ledger: ledger.jobs.cancel("job-1", "caller"),
    "conclude": lambda ledger: conclude(ledger, "job-2"),
    "forget": lambda ledger: ledger.jobs.forget("job-3", "north"),
    "retire": lambda ledger: ledger.jobs.retire("job-4", MINUTE),
    "create": lambda ledger: accepted_job(ledger, "job-new"),
    "step": lambda ledger: ledger.step_leases.take("plan"),
}


def test_operations_cost_the_same_beside_ten_times_as_many_jobs_and_claims() -> None:
    costs: list[dict[str, Cost]] = []
    for jobs in (210, 2100):  # above what `sight.lua` and `work.lua` look at
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


def test_many_items_of_several_frames_are_planned_a_few_at_a_time(valkey: RunningValkey) -> None:
    at = Watched(valkey)
    spans = [(first, 2) for first in range(0, 1000, 2)]
    planned = at.most(lambda: running_job(at.ledger, "job-a", 1000, spans=spans))
    assert planned.commands < 100
    assert planned.words < 500
    assert at.client.zcard("mr:job:job-a:spans") == 500
    assert claimed(at.ledger).n == 2


def test_the_items_of_an_adopted_job_are_counted_once_and_a_few_at_a_time(valkey: RunningValkey) -> None:
    at = Watched(valkey)
    accepted_job(at.ledger, "job-a", total=500)
    stale = leased_step(at.ledger, "plan").token
    at.ledger.claims.adopt("job-a", part_name(1), [(frame, frame == 1, True) for frame in range(500)])
    spans = [(first, 2) for first in range(0, 1000, 2)]
    for page in (spans[:30], spans[20:50]):  # by who lost the step then
        assert at.ledger.scripts.run("spans", "job-a", stale, 0, json.dumps(page))
    at.client.zadd("mr:step:plan", {"job-a": 1})
    lease = leased_step(at.ledger, "plan")
    assert not at.ledger.scripts.run("spans", "job-a", stale, 0, json.dumps(spans[:1]))
    assert not at.ledger.scripts.run("spans", "job-a", lease.token, 1, json.dumps(spans[:1]))
    told: dict[str, Any] = {"first": 0, "n": 1000, "spans": spans, "last": True, "lane": "bulk", "items": 500}
    assert at.most(lambda: at.ledger.step_leases.extend(lease, 0, **told)).commands < 500
    counted = at.client.hmget("mr:job:job-a", "in_spans", "failed_in_spans", "spans_succeeded", "spans_partial")
    assert counted == [b"500", b"1", b"249", b"1"]


@pytest.mark.parametrize("spans", [[], [(first, 2) for first in range(0, 64, 2)]])
def test_a_whole_part_is_settled_or_adopted_in_bounded_work(
    valkey: RunningValkey, spans: list[tuple[int, int]]
) -> None:
    at = Watched(valkey)
    running_job(at.ledger, "job-a", 128, spans=spans, lane="bulk")
    claims = [claimed(at.ledger, 0, ["bulk"]) for _ in range(len(spans) or 64)]
    lines = [Settlement(claim.token, frame, failed=True) for claim in claims for frame in claim.frames()]
    assert len(lines) == 64
    assert at.most(at.ledger.claims.settle, "job-a", part_name(1), lines).commands < COMMANDS_MOST
    assert at.most(at.ledger.claims.adopt, "job-a", part_name(2), [(f, True, True) for f in range(64, 128)])
    assert state_of(at.ledger, "job-a") == "finishing"


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


@pytest.fixture
def large(valkey: RunningValkey) -> Watched:
    """One job of 5000 parts, of which the first and the last have a refused frame."""
    at = Watched(valkey)
    running_job(at.ledger, "job-a", 10)
    valkey.client.rpush("mr:job:job-a:parts", *(pack(part_name(number)) for number in range(5000)))
    for number in (0, 4999):
        valkey.client.hset("mr:job:job-a:refused", pack(part_name(number)), "3,5")
    return at


def test_a_long_list_of_parts_is_read_in_pages(large: Watched) -> None:
    cost = large.most(lambda: large.ledger.jobs.parts("job-a"))
    assert cost.commands < 10
    assert cost.answered <= 2 * PAGE + 1
    listed = large.ledger.jobs.parts("job-a")
    assert [name for name, _ in listed] == [part_name(number) for number in range(5000)]
    assert [number for number, (_, refused) in enumerate(listed) if refused == {3, 5}] == [0, 4999]
    assert large.ledger.jobs.parts("job-a", 249, 250) == listed[249:251]
    assert large.ledger.jobs.parts("job-a", 4990) == listed[4990:]


@pytest.mark.parametrize("before", [0, 15_000, 45_000])
def test_a_part_is_listed_once_however_long_the_list_is(valkey: RunningValkey, before: int) -> None:
    ledger = valkey.ledger()
    running_job(ledger, "job-a", 2)
    others = [pack(part_name(number, "ffffffff")) for number in range(45_001)]
    valkey.client.rpush("mr:job:job-a:parts", *others[: before + 1])
    claim = claimed(ledger)
    assert settle(ledger, claim, 1) == {0}
    valkey.client.rpush("mr:job:job-a:parts", *others[before:])
    assert settle(ledger, claim, 1) == {0}  # the answer to the first was lost
    assert ledger.claims.adopt("job-a", part_name(1), [(0, False, True)]) == 0
    assert settle(ledger, claim, 2) == set()  # another part, whose line comes too late
    listed = ledger.jobs.parts("job-a")
    assert [name for name, _ in listed].count(part_name(1)) == 1
    assert dict(listed)[part_name(1)] == frozenset()
    assert dict(listed)[part_name(2)] == {0}


def test_many_items_that_wait_to_be_assembled_hold_nothing_up(valkey: RunningValkey) -> None:
    at = Watched(valkey)
    finishing_job(at.ledger, "job-a", 1)
    lease = leased_step(at.ledger, "finish")
    items = [(item, item // 500) for item in range(2000)]
    assert at.most(lambda: at.ledger.step_leases.assemble(lease, items)).words < 8 * CHANGES
    assert at.client.scard("mr:job:job-a:assembling") == 2000
    assert at.ledger.step_leases.take("finish") is None
    assert at.most(lambda: conclude(at.ledger, "job-a")).commands < 250
    assert at.most(at.ledger.assembly_leases.take).commands < 250
    assert at.ledger.assembly_leases.take() is None
    assert {key for key in keys_of(valkey) if "assembling" in key} == set()


def test_many_frames_without_a_line_are_reopened_a_page_at_a_time(valkey: RunningValkey) -> None:
    at = Watched(valkey)
    running_job(at.ledger, "job-a", 3000)
    at.ledger.claims.adopt("job-a", part_name(1), [(frame, False, True) for frame in range(3000)])
    lease = leased_step(at.ledger, "finish")
    assert at.most(lambda: at.ledger.step_leases.reopen(lease, list(range(1, 3000, 2)))).commands < 4 * CHANGES
    assert (state_of(at.ledger, "job-a"), frames_of(at.ledger, "job-a").waiting) == ("running", 1500)
    assert claimed(at.ledger).first == 1


#: What reads or drops a whole key in one command, and the keys that stay small whatever the work is.
WHOLE = re.compile(r"'(KEYS|SMEMBERS|HGETALL|HVALS|HKEYS|DEL|SORT|SINTER|SUNION)', ([^)]*)")
SMALL = {"job_key(job", "key", "'mr:flow:' .. set.name", "flow_key(flow, 'errors:' .. minute - ago", "failing", "used"}
SMALL |= {"'mr:reconciling'", "'mr:reconciling', 'mr:reconciling:began'"}


def test_no_script_reads_or_drops_a_large_key_at_once() -> None:
    found = {match[2] for text in texts().values() for match in WHOLE.finditer(text)}
    assert found <= {*SMALL, "job_key(job, 'opening'", "job_key(job"}, found - SMALL


def _used(valkey: RunningValkey, tenant: str = "north") -> dict[str, int]:
    return {name.decode(): int(number) for name, number in valkey.client.hgetall(f"mr:used:{tenant}").items()}


def test_what_a_tenant_uses_is_right_however_its_jobs_end(valkey: RunningValkey, ledger: Ledger) -> None:
    for job in ("cancelled", "done", "gone", "lost", "kept"):
        assert ledger.jobs.create(job, "north", "interactive", 2, datetime.now(UTC), size=100)
    assert _used(valkey) == {"jobs": 5, "frames": 10, "interactive": 10, "bytes": 500}
    for _ in range(5):
        assert ledger.step_leases.extend(
            leased_step(ledger, "plan"), 0, first=0, n=3, spans=[], last=True, lane="bulk", items=3
        )
    assert _used(valkey) == {"jobs": 5, "frames": 15, "interactive": 0, "bytes": 500}
    ledger.jobs.cancel("cancelled", "caller")
    conclude(ledger, "cancelled", "cancelled")
    ledger.claims.adopt("done", part_name(1), [(0, False, True)])
    assert _used(valkey)["frames"] == 11
    conclude(ledger, "done")
    ledger.jobs.forget("gone", "north")
    assert _used(valkey) == {"jobs": 2, "frames": 6, "interactive": 0, "bytes": 200}
    valkey.client.delete("mr:job:lost")
    ledger.quotas.check("north", Usage(jobs=1), Usage(jobs=2))  # refuses nothing that a lost record stands for
    with pytest.raises(JobsQuotaReached):
        ledger.quotas.check("north", Usage(jobs=2), Usage(jobs=2))
    ledger.jobs.forget("kept", "north")
    assert keys_of(valkey, "mr:used:*") | keys_of(valkey, "mr:load:*") == set()


def test_a_record_of_an_earlier_release_is_counted_when_records_are_walked_through(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    running_job(ledger, "job-a", 7)
    valkey.client.delete("mr:used:north", "mr:load:north")
    assert ledger.jobs.retire("job-a", MINUTE) == "running"
    assert _used(valkey) == {"jobs": 1, "frames": 7, "interactive": 7}


def test_room_that_is_kept_counts_until_it_is_given_back_or_its_time_is_over(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    ledger.quotas.keep("north", "job-a", ONE, PLENTY, MINUTE)
    with pytest.raises(JobsQuotaReached):
        ledger.quotas.check("north", ONE, Usage(jobs=1))
    accepted_job(ledger, "job-a", total=4)
    ledger.quotas.give_back("north", "job-a")
    assert _used(valkey)["frames"] == 4
    ledger.quotas.keep("north", "job-b", ONE, PLENTY, MINUTE)
    ledger.quotas.give_back("north", "job-b")
    ledger.quotas.keep("north", "job-c", ONE, PLENTY, timedelta(0))
    ledger.quotas.check("north", ONE, Usage(jobs=2, frames=5, interactive=5, bytes=1))
    assert _used(valkey)["jobs"] == 1


def _unused(number: int, left: timedelta = MINUTE) -> UnusedUpload:
    return UnusedUpload(f"upload-{number}", 10, left)


def test_many_unused_uploads_are_counted_taken_and_forgotten_a_page_at_a_time(valkey: RunningValkey) -> None:
    at = Watched(valkey)
    room = at.ledger.quotas
    uploads = [_unused(number) for number in range(2000)]
    assert at.most(lambda: room.keep_uploads("north", uploads, PLENTY)).commands < 8 * CHANGES
    assert _used(valkey) == {"bytes": 20_000}
    for _ in range(3):  # a refusal counts some anew
        with pytest.raises(BytesQuotaReached):
            room.check("north", ONE, Usage(jobs=9, frames=9, interactive=9, bytes=20_000))
    assert at.most(lambda: room.take_uploads("north", [one.id for one in uploads])).commands < 8 * CHANGES
    assert keys_of(valkey) & {"mr:uploads:north", "mr:load:north", "mr:used:north", "mr:holds:north"} == set()
    room.keep_uploads("north", [_unused(number, timedelta(0)) for number in range(500)], PLENTY)
    assert at.most(lambda: room.check("north", ONE, PLENTY)).commands < 250
    assert at.most(lambda: room.check("north", ONE, Usage(jobs=1, frames=1, interactive=1, bytes=1))).commands < 250
    assert keys_of(valkey) & {"mr:uploads:north", "mr:load:north", "mr:used:north"} == set()


def test_uploads_that_are_put_back_count_as_before(valkey: RunningValkey, ledger: Ledger) -> None:
    ledger.quotas.keep_uploads("north", [_unused(1), _unused(2)], PLENTY)
    taken = ledger.quotas.take_uploads("north", ["upload-2", "upload-3"])
    assert [(one.id, one.size) for one in taken] == [("upload-2", 10)]
    assert _used(valkey)["bytes"] == 10
    ledger.quotas.put_back_uploads("north", taken)
    assert _used(valkey)["bytes"] == 20
    with pytest.raises(BytesQuotaReached):
        ledger.quotas.keep_uploads("north", [_unused(4)], Usage(bytes=29))
    assert _used(valkey)["bytes"] == 20
