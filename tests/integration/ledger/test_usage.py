"""What counts towards the quotas of a tenant, and what counting it costs."""

from datetime import UTC, datetime, timedelta

import pytest

from maskrelay.errors import BytesQuotaReached, JobsQuotaReached
from maskrelay.ledger import Ledger
from maskrelay.ledger.quotas import UnusedUpload, Usage
from maskrelay.ledger.scripts import CHANGES
from tests.support.checks.command_costs import Watched
from tests.support.drivers.ledger_jobs import (
    MINUTE,
    PLENTY,
    accepted_job,
    conclude,
    keys_of,
    leased_step,
    part_name,
    running_job,
)
from tests.support.servers.valkeys import RunningValkey

ONE = Usage(jobs=1, frames=1, interactive=1, bytes=1)


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
    ledger.quotas.release("north", "job-a")
    assert _used(valkey)["frames"] == 4
    ledger.quotas.keep("north", "job-b", ONE, PLENTY, MINUTE)
    ledger.quotas.release("north", "job-b")
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
