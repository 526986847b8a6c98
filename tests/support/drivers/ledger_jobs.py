"""Jobs in a ledger, in the state in which a test begins."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from maskrelay.contract.records.job import Frames, JobState, Lane
from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim, Settlement
from maskrelay.ledger.quotas import Usage
from maskrelay.ledger.step_leases import Kind, StepLease
from tests.support.servers.valkeys import RunningValkey

CREATED = datetime(2026, 3, 1, 12, 30, 15, 250000, tzinfo=UTC)
BOTH: list[Lane] = ["interactive", "bulk"]
PLENTY = Usage(jobs=10**6, frames=10**9, interactive=10**9, bytes=10**12)
MINUTE = timedelta(minutes=1)


def part_name(number: int, worker: str = "0a1b2c3d") -> str:
    return f"{1_700_000_000_000 + number:016d}-{worker}-{number:06d}"


def accepted_job(
    ledger: Ledger, job: str, *, total: int = 1, lane: Lane = "interactive", tenant: str = "north"
) -> None:
    assert ledger.jobs.create(job, tenant, lane, total, CREATED)


def running_job(
    ledger: Ledger,
    job: str,
    n: int,
    *,
    lane: Lane = "interactive",
    spans: Sequence[tuple[int, int]] = (),
    planned: bool = True,
    tenant: str = "north",
) -> None:
    """Create a job of `n` frames that can be claimed. No other job may wait to be planned."""
    accepted_job(ledger, job, total=n, lane=lane, tenant=tenant)
    lease = leased_step(ledger, "plan")
    assert lease.job == job
    assert ledger.step_leases.extend(lease, 0, first=0, n=n, spans=spans, last=planned, lane=lane, items=n)


def leased_step(ledger: Ledger, kind: Kind) -> StepLease:
    lease = ledger.step_leases.take(kind)
    assert lease is not None
    return lease


def claimed(ledger: Ledger, holding: int = 0, lanes: Sequence[Lane] = BOTH, most: int = 32) -> Claim:
    claim = ledger.claims.take(holding, lanes, most)
    assert isinstance(claim, Claim), claim
    return claim


def settle(ledger: Ledger, claim: Claim, number: int, failed: Sequence[int] = ()) -> set[int]:
    """Settle all frames of a claim in the part with this number."""
    lines = [Settlement(claim.token, frame, frame in failed) for frame in claim.frames()]
    return ledger.claims.settle(claim.job, part_name(number), lines)


def finishing_job(ledger: Ledger, job: str, n: int, *, tenant: str = "north") -> None:
    running_job(ledger, job, n, tenant=tenant)
    for number in range(n):
        assert settle(ledger, claimed(ledger), number)


def conclude(ledger: Ledger, job: str, state: JobState = "succeeded", total: int = 1, **given: Any) -> bool:
    items = {"total": total, "succeeded": total, "partial": 0, "failed": 0, "cancelled": 0}
    known: dict[str, Any] = {"tenant": "north", "lane": "interactive", "created_at": CREATED, "items": items}
    known["frames"] = Frames(planned=total, succeeded=total)
    return ledger.jobs.conclude(job, state=state, **(known | given))


def state_of(ledger: Ledger, job: str) -> str:
    record = ledger.jobs.get(job)
    assert record is not None
    return record.state


def frames_of(ledger: Ledger, job: str) -> Frames:
    record = ledger.jobs.get(job)
    assert record is not None
    return record.frames


def let_lapse(valkey: RunningValkey, ledger: Ledger, *tokens: str) -> list[Any]:
    """Let the leases of these claims lapse now. Return the frames that must fail because of it."""
    ledger.claims.lapse()
    valkey.client.zadd("mr:leases", dict.fromkeys(tokens, 1), xx=True)
    return ledger.claims.lapse()[1]


def keys_of(valkey: RunningValkey, pattern: str = "mr:*") -> set[str]:
    return {key.decode() for key in valkey.client.scan_iter(pattern)}
