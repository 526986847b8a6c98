"""No call to Redis does more because a job has many items, frames or parts."""

import json
from typing import Any

import pytest

from maskrelay.ledger.claims import Settlement
from maskrelay.ledger.part_names import pack
from maskrelay.ledger.scripts import CHANGES, PAGE
from tests.support.checks.command_costs import COMMANDS_MOST, Watched
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
from tests.support.servers.valkeys import RunningValkey


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
        assert at.ledger.scripts.run("record_spans", "job-a", stale, 0, json.dumps(page))
    at.client.zadd("mr:step:plan", {"job-a": 1})
    lease = leased_step(at.ledger, "plan")
    assert not at.ledger.scripts.run("record_spans", "job-a", stale, 0, json.dumps(spans[:1]))
    assert not at.ledger.scripts.run("record_spans", "job-a", lease.token, 1, json.dumps(spans[:1]))
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


def test_a_page_of_the_list_costs_the_same_when_it_has_500_000_parts(large: Watched) -> None:
    few = large.most(lambda: large.ledger.jobs.parts("job-a", 4000, 4999))
    for first in range(5000, 500_000, 5000):
        large.client.rpush("mr:job:job-a:parts", *(pack(part_name(number)) for number in range(first, first + 5000)))
    for start in (250_000, 499_000):
        many = large.most(lambda start=start: large.ledger.jobs.parts("job-a", start, start + 999))
        assert (many.commands, many.answered) == (few.commands, few.answered)
    assert [name for name, _ in large.ledger.jobs.parts("job-a", 499_998)] == [part_name(499_998), part_name(499_999)]


def test_the_part_numbers_of_many_items_are_read_a_page_at_a_time(valkey: RunningValkey) -> None:
    at = Watched(valkey)
    spans = [(first, 3) for first in range(0, 3000, 3)]
    running_job(at.ledger, "job-a", 3000, spans=spans, lane="bulk")
    for number, first in enumerate(range(0, 3000, 300)):
        at.ledger.claims.adopt(
            "job-a", part_name(number), [(frame, False, True) for frame in range(first, first + 300, 2)]
        )
    ranges = [range(first, first + n) for first, n in spans]
    cost = at.most(at.ledger.jobs.part_numbers, "job-a", ranges)
    assert cost.commands <= 2 * PAGE + 5
    assert cost.answered == 2 * PAGE
    numbers = at.ledger.jobs.part_numbers("job-a", ranges)
    assert numbers[:2] == [[0, None, 0], [None, 0, None]]
    assert numbers[-1] == [None, 9, None]
    assert at.ledger.jobs.part_numbers("job-b", ranges[:1]) == [[None] * 3]


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
