"""What each tenant has in progress, as totals that every transition keeps, against a walk over all records."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from maskrelay.contract.records.job import TERMINAL, Lane
from maskrelay.ledger.claims import Claim, Settlement
from maskrelay.ledger.quotas import UnusedUpload, Usage
from tests.support.drivers.ledger_jobs import BOTH, MINUTE, PLENTY, conclude, let_lapse, part_name
from tests.support.servers.valkeys import RunningValkey, running_valkey

TENANTS = ("north", "south")
Totals = dict[str, int]


class Walk(RuleBasedStateMachine):
    """Jobs and uploads of two tenants, which open, grow, shrink, end and are lost in any order."""

    server: RunningValkey

    def __init__(self) -> None:
        super().__init__()
        self.server.client.flushall()
        self.ledger = self.server.ledger()
        self.jobs: dict[str, str] = {}
        #: What is reserved for requests, by tenant and request.
        self.reserved: dict[tuple[str, str], Usage] = {}
        self.uploads: dict[tuple[str, str], int] = {}
        self.claims: list[Claim] = []
        self.written = 0
        #: The number of the recount in progress of each tenant, with its members that are still to be included.
        self.rounds: dict[str, tuple[int, list[str]]] = {}
        #: Tenants whose totals were made wrong, until they are counted again.
        self.damaged: set[str] = set()

    def number(self) -> int:
        """Numbers in order, since a replay must see the same names."""
        self.written += 1
        return self.written

    # -- requests and uploads ------------------------------------------------------------------------------------------

    @rule(tenant=st.sampled_from(TENANTS), jobs=st.integers(0, 1), frames=st.integers(0, 5), size=st.integers(0, 9))
    def reserve(self, tenant: str, jobs: int, frames: int, size: int) -> None:
        request, usage = f"request-{self.number():04}", Usage(jobs, frames, frames, size)
        self.ledger.quotas.keep(tenant, request, usage, PLENTY, MINUTE)
        self.reserved[tenant, request] = usage

    @precondition(lambda self: self.reserved)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        tenant, request = data.draw(st.sampled_from(sorted(self.reserved)))
        self.ledger.quotas.release(tenant, request)
        del self.reserved[tenant, request]

    @precondition(lambda self: self.reserved)
    @rule(data=st.data())
    def a_reservation_expires(self, data: st.DataObject) -> None:
        tenant, request = data.draw(st.sampled_from(sorted(self.reserved)))
        self.server.client.zadd(f"mr:holds:{tenant}", {request: 1})
        self.ledger.quotas.check(tenant, Usage(jobs=1), PLENTY)
        del self.reserved[tenant, request]

    @rule(tenant=st.sampled_from(TENANTS), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3))
    def upload(self, tenant: str, sizes: list[int]) -> None:
        uploads = [UnusedUpload(f"upload-{self.number():04}", size, MINUTE) for size in sizes]
        self.ledger.quotas.keep_uploads(tenant, uploads, PLENTY)
        self.uploads |= {(tenant, upload.id): upload.size for upload in uploads}

    @precondition(lambda self: self.uploads)
    @rule(data=st.data(), back=st.booleans())
    def take_upload(self, data: st.DataObject, back: bool) -> None:
        tenant, upload = data.draw(st.sampled_from(sorted(self.uploads)))
        taken = self.ledger.quotas.take_uploads(tenant, [upload])
        assert [one.size for one in taken] == [self.uploads[tenant, upload]]
        if back:
            self.ledger.quotas.put_back_uploads(tenant, taken)
        else:
            del self.uploads[tenant, upload]

    # -- jobs ----------------------------------------------------------------------------------------------------------

    @rule(tenant=st.sampled_from(TENANTS), total=st.integers(1, 4), lane=st.sampled_from(BOTH), data=st.data())
    def accept(self, tenant: str, total: int, lane: Lane, data: st.DataObject) -> None:
        """A job of a request that was reserved, or of none."""
        requests = [request for owner, request in self.reserved if owner == tenant]
        job = data.draw(st.sampled_from([*sorted(requests), f"job-{self.number():04}"]))
        assert self.ledger.jobs.create(job, tenant, lane, total, datetime.now(UTC), size=total * 10)
        assert not self.ledger.jobs.create(job, tenant, lane, total + 1, datetime.now(UTC))
        self.jobs[job] = tenant
        self.reserved.pop((tenant, job), None)

    @rule(n=st.integers(1, 6), last=st.booleans(), lane=st.sampled_from(BOTH))
    def plan(self, n: int, last: bool, lane: Lane) -> None:
        lease = self.ledger.step_leases.take("plan")
        if lease is None:
            return
        record = self.ledger.jobs.get(lease.job)
        assert record is not None
        planned, parts = record.frames.planned, record.frame_parts
        told = {"first": planned, "n": n, "spans": [(planned, n)], "last": last, "lane": lane, "items": planned + n}
        assert self.ledger.step_leases.extend(lease, parts, **told)
        self.ledger.step_leases.hand_back(lease)

    @rule(most=st.integers(1, 4))
    def claim(self, most: int) -> None:
        claim = self.ledger.claims.take(0, BOTH, most)
        if isinstance(claim, Claim):
            self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), failed=st.booleans())
    def settle(self, data: st.DataObject, failed: bool) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        lines = [Settlement(claim.token, frame, failed) for frame in claim.frames()]
        self.ledger.claims.settle(claim.job, part_name(self.number()), lines)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), lapses=st.booleans())
    def lose_claim(self, data: st.DataObject, lapses: bool) -> None:
        claim = self.claims.pop(data.draw(st.integers(0, len(self.claims) - 1)))
        if lapses:
            let_lapse(self.server, self.ledger, claim.token)
        else:
            self.ledger.claims.release(claim.token, claim.first)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), frames=st.sets(st.integers(0, 12), min_size=1))
    def adopt(self, data: st.DataObject, frames: set[int]) -> None:
        """A part of a job that Redis lost: its frames may lie beyond what is planned again so far."""
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        self.ledger.claims.adopt(job, part_name(self.number()), [(frame, False, True) for frame in sorted(frames)])

    @rule()
    def finish_finds_a_lost_part(self) -> None:
        lease = self.ledger.step_leases.take("finish")
        if lease is not None:
            self.ledger.step_leases.reopen(lease, [0])

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.ledger.jobs.cancel(data.draw(st.sampled_from(sorted(self.jobs))), "caller")

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), deleted=st.booleans())
    def end(self, data: st.DataObject, deleted: bool) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        if deleted:
            self.ledger.jobs.forget(job, self.jobs.pop(job))
        else:
            conclude(self.ledger, job, tenant=self.jobs[job])

    # -- losses and repairs --------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def redis_is_restored_from_an_older_copy(self, data: st.DataObject) -> None:
        """What a failover may do: the last transitions are undone, all of each."""
        before = self.jobs.copy(), self.reserved.copy(), self.uploads.copy(), self.rounds.copy(), self.damaged.copy()
        copy = {key: self.server.client.dump(key) for key in self.server.client.scan_iter()}
        for _ in range(data.draw(st.integers(1, 3))):
            self.accept(data.draw(st.sampled_from(TENANTS)), 2, "bulk", data)
            self.plan(3, last=True, lane="bulk")
        self.server.client.flushall()
        for key, value in copy.items():
            self.server.client.restore(key, 0, value)
        self.jobs, self.reserved, self.uploads, self.rounds, self.damaged = before

    @rule()
    def redis_is_lost(self) -> None:
        self.server.client.flushall()
        for known in (self.jobs, self.reserved, self.uploads, self.claims, self.rounds, self.damaged):
            known.clear()

    @rule(tenant=st.sampled_from(TENANTS), wrong=st.integers(-9, 9))
    def the_totals_are_made_wrong(self, tenant: str, wrong: int) -> None:
        """As nothing in this release does."""
        if self.totals(tenant):
            self.server.client.hset(f"mr:used:{tenant}", mapping={"frames": wrong, "bytes": wrong})
            self.damaged.add(tenant)

    @rule(tenant=st.sampled_from(TENANTS))
    def begin_to_recount(self, tenant: str) -> None:
        self.rounds[tenant] = self.ledger.quotas.begin_round(tenant), [*self.ledger.quotas.members(tenant)]

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), most=st.integers(1, 5))
    def go_on_recounting(self, data: st.DataObject, most: int) -> None:
        tenant = data.draw(st.sampled_from(sorted(self.rounds)))
        number, left = self.rounds.pop(tenant)
        counts = self.ledger.quotas.count_members(tenant, number, left[:most])
        if counts and left[most:]:
            self.rounds[tenant] = number, left[most:]
        elif counts and self.ledger.quotas.end_round(tenant, number):
            self.damaged.discard(tenant)

    @rule(tenant=st.sampled_from(TENANTS))
    def recount(self, tenant: str) -> None:
        self.ledger.quotas.recount(tenant)
        self.damaged.discard(tenant)

    # -- what holds at every step --------------------------------------------------------------------------------------

    def totals(self, tenant: str) -> Totals:
        known = self.server.client.hgetall(f"mr:used:{tenant}")
        names = ("jobs", "frames", "interactive", "bytes")
        return {name: int(known[name.encode()]) for name in names if int(known.get(name.encode(), 0))}

    def walked(self, tenant: str) -> Totals:
        found: Counter[str] = Counter()
        for job in (job for job, owner in self.jobs.items() if owner == tenant):
            record = self.ledger.jobs.get(job)
            if record is None or record.state in TERMINAL:
                continue
            size = self.server.client.hget(f"mr:job:{job}", "size") or 0
            settled = record.frames.succeeded + record.frames.failed
            under_way = record.state in {"accepted", "running"}
            frames = max(0, max(record.total, record.frames.planned) - settled) if under_way else 0
            found.update(jobs=1, frames=frames, interactive=frames * (record.lane == "interactive"), bytes=int(size))
        for (owner, _), usage in self.reserved.items():
            if owner == tenant:
                found.update({name: getattr(usage, name) for name in ("jobs", "frames", "interactive", "bytes")})
        found["bytes"] += sum(size for (owner, _), size in self.uploads.items() if owner == tenant)
        return {name: number for name, number in found.items() if number}

    @invariant()
    def another_millisecond_begins(self) -> None:
        """What falls due in one millisecond is served by name, else by time: a replay must see the same order."""
        began = self.server.client.time()[1] // 1000
        while self.server.client.time()[1] // 1000 == began:
            pass

    @invariant()
    def the_totals_equal_the_walk(self) -> None:
        for tenant in TENANTS:
            if tenant not in self.damaged:
                assert self.totals(tenant) == self.walked(tenant)

    def teardown(self) -> None:
        for tenant in TENANTS:
            self.recount(tenant)
        self.the_totals_equal_the_walk()
        for job, tenant in self.jobs.items():
            self.ledger.jobs.forget(job, tenant)
        for tenant, request in self.reserved:
            self.ledger.quotas.release(tenant, request)
        for tenant, upload in self.uploads:
            self.ledger.quotas.take_uploads(tenant, [upload])
        left = [key for tenant in TENANTS for key in self.server.client.keys(f"mr:*:{tenant}") if b"used" in key]
        assert left == []


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[RunningValkey]:
    with running_valkey() as server:
        yield server


@pytest.mark.slow_subject("ledger-models")
def test_totals_equal_the_walk_after_every_transition(own_valkey: RunningValkey) -> None:
    Walk.server = own_valkey
    limits = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Walk, settings=limits)
