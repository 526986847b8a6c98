"""Jobs' records on a real server: created once, moved by the lifecycle alone, concluded by storage."""

from datetime import timedelta
from typing import Any

import pytest

from maskrelay.contract.records.job import Frames, Submission
from maskrelay.ledger import Ledger
from maskrelay.ledger.job_transitions import LONGEST_HOLD, ListedJob
from tests.support.drivers.ledger_jobs import (
    BOTH,
    CREATED,
    MINUTE,
    accepted_job,
    claimed,
    conclude,
    finishing_job,
    keys_of,
    let_lapse,
    part_name,
    running_job,
    settle,
    state_of,
)
from tests.support.servers.valkeys import RunningValkey


def test_a_created_job_is_known_and_waits_to_be_planned(ledger: Ledger) -> None:
    assert ledger.jobs.create("job-a", "north", "bulk", 7, CREATED)
    record = ledger.jobs.get("job-a")
    assert record is not None
    assert (record.tenant, record.lane, record.total, record.created_at) == ("north", "bulk", 7, CREATED)
    assert (record.state, record.planned, record.frames, record.cancel_reason) == ("accepted", False, Frames(), None)
    assert ledger.wake_ups.work("plan") == 1


def submission(**fields: Any) -> Submission:
    about = {"id": "job-a", "tenant": "north", "created_at": CREATED, "lane": "interactive", "outputs": ()}
    return Submission.model_validate({**about, "total": 1, "size": 10, "fingerprint": "0" * 64, **fields})


def test_an_accepted_job_whose_plan_is_stored_can_be_claimed_at_once(ledger: Ledger) -> None:
    assert ledger.jobs.accept(submission(), frames=1) == "segment"
    record = ledger.jobs.get("job-a")
    assert record is not None
    assert (record.state, record.planned, record.frame_parts) == ("running", True, 1)
    assert (record.frames, record.created_at) == (Frames(planned=1, waiting=1), CREATED)
    assert (ledger.wake_ups.work("plan"), ledger.wake_ups.work("segment")) == (0, 1)
    assert claimed(ledger).job == "job-a"


def test_an_accepted_job_without_a_plan_waits_for_the_plan_step(ledger: Ledger) -> None:
    assert ledger.jobs.accept(submission(deadline=CREATED)) == "plan"
    assert state_of(ledger, "job-a") == "accepted"
    assert ledger.wake_ups.work("plan") == 1
    assert ledger.jobs.overdue(10) == ["job-a"]


def test_accepting_a_job_wakes_no_loop_if_enough_are_running_or_woken(ledger: Ledger) -> None:
    ledger.wake_ups.running("segment", "loop", MINUTE)
    assert ledger.jobs.accept(submission(), frames=1) is None
    assert ledger.jobs.accept(submission(id="job-b")) == "plan"
    assert ledger.jobs.accept(submission(id="job-c")) is None


def test_a_job_with_a_record_is_not_planned_again_when_its_acceptance_is_recorded_late(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a")  # the sweep was faster
    assert ledger.jobs.accept(submission(), frames=1) == "plan"
    assert state_of(ledger, "job-a") == "accepted"
    assert ledger.claims.take(0, BOTH) is None


def test_a_job_is_created_once(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a", total=2)
    assert not ledger.jobs.create("job-a", "south", "bulk", 9, CREATED)
    record = ledger.jobs.get("job-a")
    assert record is not None
    assert (record.tenant, record.total) == ("north", 2)


def test_every_change_raises_the_version(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 1)
    versions = [ledger.jobs.get("job-a").version]  # type: ignore[union-attr]
    claim = claimed(ledger)
    versions.append(ledger.jobs.get("job-a").version)  # type: ignore[union-attr]
    settle(ledger, claim, 1)
    versions.append(ledger.jobs.get("job-a").version)  # type: ignore[union-attr]
    assert versions == sorted(set(versions))


def test_an_unknown_job_is_none_and_nothing_asked_of_it_creates_a_key(valkey: RunningValkey, ledger: Ledger) -> None:
    assert ledger.jobs.get("nobody") is None
    assert ledger.jobs.cancel("nobody", "why not") is None
    assert valkey.client.pttl("mr:ended:nobody") > 0  # its record may be about to be created
    valkey.client.delete("mr:ended:nobody")
    assert ledger.jobs.parts("nobody") == []
    assert not ledger.claims.release("0123456789abcdef", 0)
    assert not ledger.claims.release_failed("0123456789abcdef", 0, "scoring_failed", timedelta(0))
    assert ledger.claims.charge("0123456789abcdef", 0) == -1
    assert ledger.claims.adopt("nobody", part_name(1), [(0, False, True)]) == 0
    assert keys_of(valkey) == set()


def test_a_job_cancelled_before_it_is_planned_is_finished_next(ledger: Ledger) -> None:
    accepted_job(ledger, "job-a")
    assert ledger.jobs.cancel("job-a", "asked") == "accepted"
    assert state_of(ledger, "job-a") == "finishing"
    assert ledger.step_leases.take("plan") is None
    lease = ledger.step_leases.take("finish")
    assert lease is not None
    assert lease.job == "job-a"


def test_a_cancelled_job_gives_out_nothing_and_waits_for_what_is_held(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 3)
    held, also_held = claimed(ledger), claimed(ledger)
    assert ledger.jobs.cancel("job-a", "asked") == "running"
    assert ledger.jobs.cancel("job-a", "asked again") == "cancelling"
    assert ledger.claims.take(0, ["interactive", "bulk"]) is None
    assert settle(ledger, held, 1) == {held.first}
    assert state_of(ledger, "job-a") == "cancelling"
    assert ledger.claims.release(also_held.token, also_held.first)
    record = ledger.jobs.get("job-a")
    assert record is not None
    assert (record.state, record.cancel_reason, record.frames.leased) == ("finishing", "asked", 0)
    assert ledger.jobs.cancel("job-a", "too late") == "finishing"


def test_a_frame_struck_while_its_job_is_cancelled_does_not_hold_it_up(ledger: Ledger) -> None:
    running_job(ledger, "job-a", 2)
    claim = claimed(ledger)
    ledger.jobs.cancel("job-a", "asked")
    assert ledger.claims.release_failed(claim.token, claim.first, "scoring_failed", timedelta(0))
    assert state_of(ledger, "job-a") == "finishing"


def test_a_dead_worker_does_not_hold_up_a_cancelled_job(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 2)
    claim = claimed(ledger)
    ledger.jobs.cancel("job-a", "asked")
    let_lapse(valkey, ledger, claim.token)
    assert state_of(ledger, "job-a") == "finishing"


def test_storage_concludes_a_finishing_job_and_what_only_a_running_one_needs_goes(
    valkey: RunningValkey, ledger: Ledger
) -> None:
    finishing_job(ledger, "job-a", 2)
    frames = Frames(planned=2, succeeded=1, failed=1)
    items = {"total": 2, "succeeded": 1, "partial": 0, "failed": 1, "cancelled": 0}
    assert conclude(ledger, "job-a", "partial", items=items, frames=frames)
    record = ledger.jobs.get("job-a")
    assert record is not None
    assert (record.state, record.frames, record.total) == ("partial", frames, 2)
    assert record.items == {"succeeded": 1, "partial": 0, "failed": 1, "cancelled": 0}
    assert record.finished_at is not None
    assert keys_of(valkey, "mr:job:*") == {"mr:job:job-a"}
    assert keys_of(valkey, "mr:step:*") == set()
    assert not conclude(ledger, "job-a", "partial")


def test_storage_concludes_a_job_that_the_ledger_lost(ledger: Ledger) -> None:
    assert conclude(ledger, "job-a")
    assert state_of(ledger, "job-a") == "succeeded"
    assert [job for job, _ in ledger.jobs.listed("north", None, 10)] == ["job-a"]
    assert ledger.wake_ups.work("plan") == 0


@pytest.mark.parametrize("state", ["succeeded", "partial", "failed", "cancelled"])
def test_a_terminal_state_absorbs(ledger: Ledger, state: str) -> None:
    conclude(ledger, "job-a", state)  # type: ignore[arg-type]
    before = ledger.jobs.get("job-a")
    assert not conclude(ledger, "job-a", "failed")
    assert not conclude(ledger, "job-a", "succeeded")
    assert ledger.jobs.cancel("job-a", "too late") == state
    assert not ledger.jobs.create("job-a", "north", "bulk", 1, CREATED)
    assert ledger.jobs.get("job-a") == before


def test_claims_of_a_concluded_job_end_without_a_trace(valkey: RunningValkey, ledger: Ledger) -> None:
    running_job(ledger, "job-a", 3)
    released, settled, lapsed = claimed(ledger), claimed(ledger), claimed(ledger)
    conclude(ledger, "job-a", total=3)
    before = ledger.jobs.get("job-a")
    assert ledger.claims.charge(released.token, released.first) == -1
    assert ledger.claims.release(released.token, released.first)
    assert settle(ledger, settled, 1) == set()
    assert let_lapse(valkey, ledger, lapsed.token) == []
    assert ledger.jobs.get("job-a") == before
    assert keys_of(valkey, "mr:job:*") == {"mr:job:job-a"}
    assert keys_of(valkey) & {"mr:claims", "mr:leases", "mr:line:interactive:north"} == set()


def test_a_tenants_jobs_are_listed_newest_first_page_by_page(ledger: Ledger) -> None:
    for number in range(5):
        ledger.jobs.create(f"job-{number}", "north", "bulk", 1, CREATED + timedelta(seconds=number))
    ledger.jobs.create("job-x", "south", "bulk", 1, CREATED)
    newest = ledger.jobs.listed("north", None, 2)
    assert [job for job, _ in newest] == ["job-4", "job-3"]
    older = ledger.jobs.listed("north", newest[-1], 10)
    assert [job for job, _ in older] == ["job-2", "job-1", "job-0"]
    assert ledger.jobs.listed("north", ListedJob("job-3", None), 10) == older
    assert ledger.jobs.listed("north", older[-1], 10) == []
    assert ledger.jobs.listed("north", ListedJob("job-x", None), 10) == []


def test_a_list_goes_on_behind_a_job_that_was_deleted(ledger: Ledger) -> None:
    for number, second in enumerate((0, 1, 1, 1, 2)):
        ledger.jobs.create(f"job-{number}", "north", "bulk", 1, CREATED + timedelta(seconds=second))
    whole = ledger.jobs.listed("north", None, 10)
    assert [job for job, _ in whole] == ["job-4", "job-3", "job-2", "job-1", "job-0"]
    for place, job in enumerate(whole):
        ledger.jobs.forget(job.id, "north")
        assert ledger.jobs.listed("north", job, 10) == whole[place + 1 :]


def test_an_id_is_accepted_by_one_request_at_a_time(ledger: Ledger) -> None:
    assert ledger.jobs.begin_accepting("job-a", "one", timedelta(seconds=30))
    assert not ledger.jobs.begin_accepting("job-a", "two", timedelta(seconds=30))
    ledger.jobs.end_accepting("job-a", "two")
    assert not ledger.jobs.begin_accepting("job-a", "two", timedelta(seconds=30))
    ledger.jobs.end_accepting("job-a", "one")
    assert ledger.jobs.begin_accepting("job-a", "two", timedelta(seconds=30))


def test_a_request_does_not_take_an_id_that_is_reserved_for_longer_than_it_asks_for(ledger: Ledger) -> None:
    assert ledger.jobs.begin_accepting("job-a", "the comparison", LONGEST_HOLD)
    assert not ledger.jobs.begin_accepting("job-a", "a request", timedelta(seconds=15))
