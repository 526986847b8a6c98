"""Items that wait for their whole-item files: each in one worker's hands, and the last has its job finished."""

from dataclasses import replace

from maskrelay.ledger import Ledger
from maskrelay.ledger.assembly_leases import AssemblyLease
from maskrelay.ledger.step_leases import StepLease
from tests.support.drivers.ledger_jobs import conclude, finishing_job, keys_of
from tests.support.servers.valkeys import RunningValkey


def finishing(ledger: Ledger, job: str = "job-a") -> StepLease:
    """The lease of whoever finishes the job now."""
    lease = ledger.step_leases.take("finish")
    assert lease is not None
    assert lease.job == job
    return lease


def assembling_job(ledger: Ledger, items: int, job: str = "job-a") -> None:
    """A job that waits for its items' files."""
    finishing_job(ledger, job, items)
    assert ledger.step_leases.assemble(finishing(ledger, job), [(item, 0) for item in range(items)])


def taken(ledger: Ledger) -> AssemblyLease:
    one = ledger.assembly_leases.take()
    assert one is not None
    return one


def lapse(valkey: RunningValkey, one: AssemblyLease) -> None:
    valkey.client.zadd("mr:assembling", {f"{one.job} {one.member}": 1}, xx=True)


def test_an_item_is_one_workers_and_the_next_worker_has_the_next(ledger: Ledger) -> None:
    assembling_job(ledger, 2)
    first, second = taken(ledger), taken(ledger)
    assert {first.item, second.item} == {0, 1}
    assert (first.job, first.part, first.tries) == ("job-a", 0, 1)
    assert ledger.assembly_leases.take() is None


def test_a_job_is_finished_once_the_last_of_its_items_is_done_and_not_before(ledger: Ledger) -> None:
    assembling_job(ledger, 2)
    assert ledger.step_leases.take("finish") is None
    first, second = taken(ledger), taken(ledger)
    assert not ledger.assembly_leases.done(first)
    assert ledger.step_leases.take("finish") is None
    assert ledger.assembly_leases.done(second)
    assert finishing(ledger)


def test_an_item_whose_worker_was_not_heard_of_is_taken_again_and_counted(
    ledger: Ledger, valkey: RunningValkey
) -> None:
    assembling_job(ledger, 1)
    lost = taken(ledger)
    assert ledger.assembly_leases.renew(lost)
    assert ledger.assembly_leases.take() is None
    lapse(valkey, lost)
    again = taken(ledger)
    assert (again.item, again.tries) == (0, 2)
    assert again.token != lost.token
    assert not ledger.assembly_leases.renew(lost)
    assert ledger.assembly_leases.renew(again)


def test_whoever_stored_the_files_may_say_so_also_late_and_twice(ledger: Ledger, valkey: RunningValkey) -> None:
    assembling_job(ledger, 1)
    late = taken(ledger)
    lapse(valkey, late)
    again = taken(ledger)
    assert ledger.assembly_leases.done(late)
    assert not ledger.assembly_leases.done(again)
    assert ledger.assembly_leases.take() is None


def test_an_item_whose_job_has_ended_is_dropped_and_leaves_nothing(ledger: Ledger, valkey: RunningValkey) -> None:
    assembling_job(ledger, 2)
    assert conclude(ledger, "job-a")
    assert ledger.assembly_leases.take() is None
    assert keys_of(valkey, "mr:assembling*") == set()


def test_nobody_but_the_finisher_has_items_assembled(ledger: Ledger) -> None:
    finishing_job(ledger, "job-a", 1)
    lease = finishing(ledger)
    assert not ledger.step_leases.assemble(replace(lease, token="another"), [(0, 0)])
    assert ledger.assembly_leases.take() is None


def test_an_item_that_is_asked_for_twice_is_assembled_once(ledger: Ledger) -> None:
    assembling_job(ledger, 1)
    assert ledger.assembly_leases.done(taken(ledger))
    assert ledger.step_leases.assemble(finishing(ledger), [(0, 0)])
    one = taken(ledger)
    assert ledger.assembly_leases.take() is None
    assert ledger.assembly_leases.done(one)
